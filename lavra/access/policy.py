"""The access policy: what the files ``access/*.yaml`` of a project may say, and reading them.

The policy is all files together; which file a role or rule stands in does not matter. The models
below are also the JSON schema that editors check the files with.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from lavra.access.filters import Filter, parse_filter
from lavra.errors import ConfigurationError
from lavra.landing.yaml_file import YamlFile, load_yaml, validated

FOLDER = "access"
"""The folder of a project that holds its policy; ``access/tests`` holds the tests of it."""

MaskKind = Literal["hidden", "null", "hash", "last_four", "month"]
STRICTEST_FIRST: tuple[MaskKind, ...] = ("hidden", "null", "hash", "last_four", "month")
"""Of two masks on one column, the one that stands first here holds."""

BUILT_IN = frozenset({"user", "roles"})
"""Attributes that every caller has: its name, and the roles that the policy gives it."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Pattern = Annotated[str, Field(min_length=1, max_length=200)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Attribute(_Model):
    """Something that is known of a caller and that filters may name, as ``$name``.

    A caller that no source below gives a value has none, and sees no row of any table whose
    filter names the attribute.
    """

    description: str = ""
    claim: str | None = Field(
        default=None, description="The claim of the caller's token (or of Superset's signature)."
    )
    users: dict[str, str | int | list[str | int]] = Field(
        default_factory=dict,
        description="Values by caller, `kind:name` as in given_to.users; they win over the claim.",
    )
    type: Literal["text", "integer"] = Field(default="text", description="Type of the values.")
    multiple: bool = Field(
        default=False, description="Whether it is a list, for `column in $name`; else one value."
    )


class GivenTo(_Model):
    """Who has a role: whoever any of these names."""

    everyone: bool = Field(default=False, description="Every caller that proved who it is.")
    roles: list[str] = Field(
        default_factory=list,
        description="Roles that the credential carries (a key's, a token's, Superset's), by name. "
        "The role's own name always counts.",
    )
    users: list[Pattern] = Field(
        default_factory=list,
        description="Callers by `kind:name`, kind being key, token or superset; `*` matches any "
        "text: `token:*@shop.example`.",
    )
    claims: dict[str, str | int | bool | list[str | int]] = Field(
        default_factory=dict,
        description="Claims with a value that gives the role, or several; a claim that is a list "
        "gives it when it holds one of them.",
    )


class Grant(_Model):
    """Tables that a role may read. Only what a grant names exists for a caller."""

    tables: list[Pattern] = Field(
        min_length=1,
        description="As `schema.table`, `*` for any text. The service's own, `lavra.access_log`, "
        "are granted by their schema's name only.",
    )
    except_tables: list[Pattern] = Field(default_factory=list)
    columns: list[Pattern] = Field(default_factory=lambda: ["*"])
    except_columns: list[Pattern] = Field(default_factory=list)
    environments: list[Pattern] = Field(
        default_factory=lambda: ["prod"], description="SQLMesh environments, `*` for any text."
    )


class Quota(_Model):
    """How much a caller may ask of the service. Of several roles' quotas the lowest holds."""

    queries_per_minute: int | None = Field(default=None, ge=1)
    bytes_per_hour: int | None = Field(
        default=None, ge=1, description="Bytes of answers, before compression."
    )
    concurrency: int | None = Field(default=None, ge=1, description="Queries at the same time.")
    timeout_s: float | None = Field(default=None, gt=0, description="Time limit of each query.")


class Role(_Model):
    """A name for a set of callers, and what they may read."""

    description: str = ""
    given_to: GivenTo = GivenTo()
    grants: list[Grant] = Field(default_factory=list)
    quota: Quota = Quota()


class _Restriction(_Model):
    description: str = ""
    roles: list[Name] = Field(
        default_factory=list,
        description="It holds for callers with one of these roles; empty: for every caller.",
    )
    except_roles: list[Name] = Field(
        default_factory=list,
        description="It does not hold for callers with one of these, whatever else they have.",
    )

    def holds_for(self, roles: frozenset[str]) -> bool:
        """Whether a caller with these roles is restricted by it."""
        return not roles.intersection(self.except_roles) and (
            not self.roles or bool(roles.intersection(self.roles))
        )


class RowRule(_Restriction):
    """Rows that callers may see of some tables; all others are not there for them."""

    tables: list[Pattern] = Field(min_length=1, description="As `schema.table`, `*` for any text.")
    filter: str = Field(
        min_length=1,
        description="SQL over the table's columns and the caller's attributes, as `$name`: "
        "`state in $states`. In DuckDB's dialect; no subqueries, no functions of time or chance.",
    )

    @property
    def parsed(self) -> Filter:
        """The filter, parsed."""
        return parse_filter(self.filter)


class MaskRule(_Restriction):
    """Columns that callers see in another form, named by tag or by table and column."""

    mask: MaskKind = Field(
        description="hidden: the column is not there. null: it has no values. hash: a keyed hash, "
        "equal for equal values. last_four: `****` and the last four characters. month: the "
        "first day of a date's month."
    )
    tags: list[Name] = Field(
        default_factory=list, description="Tags of columns: `#pii` in a model's column comment."
    )
    tables: list[Pattern] = Field(default_factory=lambda: ["*"])
    columns: list[Pattern] = Field(default_factory=list)

    @model_validator(mode="after")
    def _names_columns(self) -> MaskRule:
        if not self.tags and not self.columns:
            raise ValueError("name columns by tags, by columns, or both")
        return self


class PolicyFile(_Model):
    """One file of a lake's access policy."""

    attributes: dict[Name, Attribute] = Field(default_factory=dict)
    roles: dict[Name, Role] = Field(default_factory=dict)
    rows: list[RowRule] = Field(default_factory=list)
    masks: list[MaskRule] = Field(default_factory=list)


@dataclass(frozen=True)
class Policy:
    """All of a lake's access rules. ``places`` says where each part stands, for messages."""

    attributes: dict[str, Attribute] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    rows: tuple[RowRule, ...] = ()
    masks: tuple[MaskRule, ...] = ()
    places: dict[tuple[str | int, ...], str] = field(default_factory=dict, compare=False)
    digest: str = ""

    def place(self, *key: str | int) -> str:
        """Return ``file:line`` of a part, such as ``("rows", 0)`` or ``("roles", "analyst")``."""
        while key and key not in self.places:
            key = key[:-1]
        return self.places.get(key, FOLDER)


def policy_files(project: Path) -> list[Path]:
    """Return the policy's files; none means that the project has no policy."""
    return sorted((project / FOLDER).glob("*.yaml"))


def load_policy(project: Path) -> Policy | None:
    """Read a project's policy; None if ``access/`` holds no YAML.

    Raises:
        ConfigurationError: a file is wrong, or a role or attribute stands in two of them.
    """
    files = policy_files(project)
    wrong = sorted((project / FOLDER).glob("*.yml"))
    if wrong:
        raise ConfigurationError(f"{wrong[0]} is not read.", remedy="Rename it to end in .yaml.")
    return merge([load_yaml(path) for path in files], project) if files else None


def merge(files: list[YamlFile], project: Path) -> Policy:
    """Return the policy that files make together.

    Raises:
        ConfigurationError: as :func:`load_policy`.
    """
    attributes: dict[str, Attribute] = {}
    roles: dict[str, Role] = {}
    rows: list[RowRule] = []
    masks: list[MaskRule] = []
    places: dict[tuple[str | int, ...], str] = {}
    digest = hashlib.sha256()
    for file in files:
        read = validated(PolicyFile, file, manual="docs/access.md")
        shown = file.path.relative_to(project) if file.path.is_relative_to(project) else file.path
        digest.update(json.dumps(file.content, sort_keys=True, default=str).encode() + b"\0")
        offset = {"rows": len(rows), "masks": len(masks)}
        for key, line in file.lines.items():
            moved = list(key)
            if len(key) > 1 and isinstance(key[1], int) and key[0] in offset:
                moved[1] = key[1] + offset[str(key[0])]
            places[tuple(moved)] = f"{shown}:{line}"
        for kind, known, new in (
            ("attributes", attributes, read.attributes), ("roles", roles, read.roles),
        ):  # fmt: skip
            for name in known.keys() & new.keys():
                raise ConfigurationError(
                    f"{shown}:{file.line_of((kind, name))}: {kind}.{name} stands in two files."
                )
        attributes |= read.attributes
        roles |= read.roles
        rows += read.rows
        masks += read.masks
    for index, rule in enumerate(rows):
        try:
            parse_filter(rule.filter)
        except ValueError as error:
            place = places.get(("rows", index, "filter"), FOLDER)
            raise ConfigurationError(f"{place}: the filter is wrong: {error}") from error
    for name in BUILT_IN & attributes.keys():
        raise ConfigurationError(
            f"{places[('attributes', name)]}: every caller has the attribute {name!r} already.",
            remedy="Give it another name.",
        )
    return Policy(attributes, roles, tuple(rows), tuple(masks), places, digest.hexdigest())


def policy_schema() -> dict[str, Any]:
    """Return the JSON schema of a policy file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | (
        PolicyFile.model_json_schema()
    )
