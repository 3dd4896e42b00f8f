"""The connections of a new project: which of its files are read from where."""

from __future__ import annotations

import getpass
import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lavra.landing.schema import REFERENCE
from lavra.scaffold import naming
from lavra.scaffold.plan import TablePlan
from lavra.scaffold.profile import ColumnProfile
from lavra.scaffold.templating import plain, to_yaml

DATA_FOLDER = "data"
COPIED_BYTES = 10 * 1024 * 1024
"""A file of up to this size is copied into the project; a bigger one is no thing for git."""


@dataclass(frozen=True)
class Source:
    """One connection: the CSV files of one folder.

    Attributes:
        name: The connection's name, and its folder in Bronze.
        root: Where the files are: in the project, or absolute.
        plans: What is made of them.
    """

    name: str
    root: str
    plans: tuple[TablePlan, ...]

    @property
    def is_copied(self) -> bool:
        """Whether the files are copied into the project."""
        return self.root == DATA_FOLDER

    @property
    def path(self) -> str:
        """Its file in the project."""
        return f"airbyte/connections/{self.name}.yaml"

    def yaml(self) -> str:
        """Return the connection as ``lavra ingest`` reads it."""
        names = ", ".join(plain(plan.profile.path.name) for plan in self.plans)
        return REFERENCE + to_yaml(
            {
                "name": self.name,
                "description": f"CSV files: {names}.",
                "owner": _owner(),
                "source": {"connector": "csv", "config": {"root": self.root}},
                "streams": [_stream(plan) for plan in self.plans],
            }
        )


def sources_of(plans: Sequence[TablePlan], *, in_place: bool) -> list[Source]:
    """Return the connections that land the plans' files.

    Small files are copied, so that the project is whole: a clone of it elsewhere has its data. A
    big file has no place in git, and two copies of it would be one too many: it is read where it
    is.

    Args:
        plans: What is made of each file.
        in_place: Whether small files, too, are read where they are.
    """
    folders: dict[str, list[TablePlan]] = {}
    for plan in plans:
        path = plan.profile.path
        small = path.stat().st_size <= COPIED_BYTES
        root = DATA_FOLDER if small and not in_place else str(path.absolute().parent)
        folders.setdefault(root, []).append(plan)
    sources: list[Source] = []
    for root, held in folders.items():
        called = "files" if len(folders) == 1 or root == DATA_FOLDER else Path(root).name
        name = naming.table_name(called, len(sources) + 1)
        name = naming.unique(name, [source.name for source in sources])
        sources.append(Source(name, root, tuple(held)))
    return sources


def _stream(plan: TablePlan) -> dict[str, Any]:
    landed = {column.name: column.landed for column in plan.profile.columns}
    stream: dict[str, Any] = {"name": plan.name, "path": glob.escape(plan.profile.path.name)}
    if plan.key:
        stream["primary_key"] = [landed[name] for name in plan.key]
    written: dict[str, Any] = {}
    if not plan.profile.encoding.startswith("utf"):
        written["encoding"] = plan.profile.encoding
    if plan.profile.delimiter != ",":
        written["delimiter"] = plan.profile.delimiter
    if written:
        stream["format"] = written
    types = {c.landed: str(c.type) for c in plan.profile.columns if _can_be_declared(c)}
    return stream | ({"types": types} if types else {})


def _can_be_declared(column: ColumnProfile) -> bool:
    # The name of a type does not say how a date or number is written: those stay inferred.
    return column.type.format is None and not column.type.decimal_comma


def _owner() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "the owner of this folder"
