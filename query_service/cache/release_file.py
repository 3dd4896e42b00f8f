"""A release as the engines read it: which segments make up each table, in one JSON file."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa


@dataclass(frozen=True)
class CachedTable:
    """One table of a release.

    Attributes:
        schema_name: The schema as people query it.
        table_name: The table's name.
        schema: Columns with the types they are held in.
        segments: Paths of its segment files, in row order.
        bytes: Size of those files.
        row_count: Rows in them.
    """

    schema_name: str
    table_name: str
    schema: pa.Schema
    segments: tuple[str, ...]
    bytes: int
    row_count: int

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
        )
        for entry in json.loads(path.read_text())
    ]
