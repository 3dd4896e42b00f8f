"""A release as the engines read it: which segments make up each table, in one JSON file."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class TableFacts:
    """What a release says of one of its tables, for people to see beside their numbers.

    Attributes:
        snapshot: The release's id.
        released_at: When it was made.
        data_through: End of the latest interval loaded into the table, if that is known.
        audits_passed: How many of its audits passed.
        failed_audits: The names of those that did not (they are not blocking).
    """

    snapshot: str = ""
    released_at: dt.datetime | None = None
    data_through: dt.datetime | None = None
    audits_passed: int = 0
    failed_audits: tuple[str, ...] = ()


@dataclass(frozen=True)
class CachedTable:
    """One table of a release.

    Attributes:
        schema_name: The schema as people query it.
        table_name: The table's name.
        schema: Columns with the types they are held in.
        segments: Paths of its segment files, in row order.
        bytes: Size of those files, and of those in ``scanned``.
        row_count: Rows in all of them.
        facts: What the release says of it.
        scanned: URLs of Parquet files of the lake that are read where they lie, beside the
            segments, those with the same columns together; empty for a table held in memory.
    """

    schema_name: str
    table_name: str
    schema: pa.Schema
    segments: tuple[str, ...]
    bytes: int
    row_count: int
    facts: TableFacts = field(default_factory=TableFacts)
    scanned: tuple[tuple[str, ...], ...] = ()

    @property
    def is_cold(self) -> bool:
        """Whether queries read it from the lake's files."""
        return bool(self.scanned)

    @property
    def name(self) -> str:
        """The name as it is queried: ``schema.table``."""
        return f"{self.schema_name}.{self.table_name}"


def write_release_file(path: Path, tables: list[CachedTable]) -> None:
    """Write the file, whole or not at all."""
    document = [
        {
            "schema_name": table.schema_name,
            "table_name": table.table_name,
            "schema": base64.b64encode(table.schema.serialize().to_pybytes()).decode(),
            "segments": table.segments,
            "bytes": table.bytes,
            "row_count": table.row_count,
            "scanned": table.scanned,
            "facts": {
                "snapshot": table.facts.snapshot,
                "released_at": _text_of(table.facts.released_at),
                "data_through": _text_of(table.facts.data_through),
                "audits_passed": table.facts.audits_passed,
                "failed_audits": table.facts.failed_audits,
            },
        }
        for table in tables
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(document))
    temporary.replace(path)


def read_release_file(path: Path) -> list[CachedTable]:
    """Read what :func:`write_release_file` wrote."""
    return [
        CachedTable(
            schema_name=entry["schema_name"],
            table_name=entry["table_name"],
            schema=pa.ipc.read_schema(pa.py_buffer(base64.b64decode(entry["schema"]))),
            segments=tuple(entry["segments"]),
            bytes=entry["bytes"],
            row_count=entry["row_count"],
            facts=_facts_of(entry["facts"]),
            scanned=tuple(map(tuple, entry["scanned"])),
        )
        for entry in json.loads(path.read_text())
    ]


def _facts_of(entry: dict[str, Any]) -> TableFacts:
    return TableFacts(
        snapshot=entry["snapshot"],
        released_at=_moment_of(entry["released_at"]),
        data_through=_moment_of(entry["data_through"]),
        audits_passed=entry["audits_passed"],
        failed_audits=tuple(entry["failed_audits"]),
    )


def _text_of(moment: dt.datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _moment_of(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
