"""The templates of the files that `lavra init` writes, and how hostile text is quoted in them."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

_LONGEST_COMMENT = 300
_LONGEST_SHOWN = 60
_ONE_LINE = 70


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("lavra.scaffold"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - SQL and YAML, quoted by the filters below
    )
    environment.filters |= {"literal": sql_literal, "comment": sql_comment, "shown": shown}
    return environment


def render(template: str, **context: Any) -> str:
    """Return a template of ``lavra/scaffold/templates`` filled in; a missing name is an error."""
    return _environment().get_template(f"{template}.jinja").render(**context)


class _Dumper(yaml.SafeDumper):
    """Writes equal values out each time: anchors are for machines."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Indent the items of a list, as people do."""
        super().increase_indent(flow, indentless=False)


class FlowMap(dict[str, Any]):
    """A mapping that stands on one line in YAML."""


def _represent_flow_map(dumper: yaml.SafeDumper, value: FlowMap) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=True)


def _represent_list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.Node:
    short = all(isinstance(item, str) for item in value) and sum(map(len, value)) < _ONE_LINE
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=short)


_Dumper.add_representer(FlowMap, _represent_flow_map)
_Dumper.add_representer(list, _represent_list)


def to_yaml(value: Any) -> str:
    """Return a value as YAML, in its own order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def sql_literal(text: str) -> str:
    """Return a text as a SQL string."""
    return "'" + plain(text).replace("'", "''") + "'"


def sql_comment(text: str) -> str:
    """Return a text that can stand between ``/*`` and ``*/``."""
    safe = plain(text)[:_LONGEST_COMMENT]
    return safe.replace("*/", "* /").replace("/*", "/ *").removesuffix("*").strip() or "-"


def plain(text: str) -> str:
    """Return a text on one line, without characters that cannot be seen."""
    visible = "".join(
        " " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c
        for c in text
        if unicodedata.category(c) not in {"Cs", "Cf", "Co", "Cn"} or c == "\u200d"
    )
    return re.sub(r"\s+", " ", visible).strip()


def shown(text: str) -> str:
    """Return a header or file name as it is shown inside a comment: short, in backquotes."""
    short = plain(text).replace("`", "'")
    return f"`{short[:_LONGEST_SHOWN]}{'...' if len(short) > _LONGEST_SHOWN else ''}`"
