"""The JSON schema of a stream's file, by which an editor completes and checks it.

It is made from the same model as ``lavra stream lint``, as the connections' is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lavra.landing.schema import schema_of, write
from lavra.streams.declarations import StreamDeclaration

FILE = Path("airbyte") / "stream.schema.json"
"""Below the project; a stream names it in its first line (docs/streams.md)."""


def stream_schema() -> dict[str, Any]:
    """Return the JSON schema of ``airbyte/streams/<name>.yaml``."""
    return schema_of(StreamDeclaration, "A stream of Lavra")


def write_schema(project: Path) -> Path:
    """Write the streams' schema into a project and return its path."""
    return write(stream_schema(), project / FILE)
