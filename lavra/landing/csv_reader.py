"""A CSV source: the files of a folder, read in full, typed by what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from lavra.errors import ConfigurationError, SourceError
from lavra.landing.coerce import Coercer
from lavra.landing.connections import Stream
from lavra.landing.inference import TextTable, infer_types, load_text, quoted
from lavra.landing.reading import Batch, StreamRead
from lavra.landing.types import LandedType, parse_type

BATCH_ROWS = 100_000


class CsvReader:
    """The CSV files below a folder.

    Args:
        root: The folder; a stream's ``path`` is a file or glob below it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def read(self, stream: Stream, state: dict[str, Any] | None) -> Iterator[StreamRead]:  # noqa: ARG002
        """Begin to read a stream's files; see :class:`lavra.landing.reading.SourceReader`."""
        declared = {name: parse_type(kind) for name, kind in stream.types.items()}
        with load_text(self._files(stream), stream.format) as text:
            kinds = infer_types(text, declared)
            if stream.selected_fields is not None:
                kinds = _selected(stream, kinds)
            batches = _batches(text, kinds)
            yield StreamRead(kinds, batches, skipped_count=text.skipped_rows)

    def _files(self, stream: Stream) -> list[Path]:
        pattern = stream.path or ""
        if Path(pattern).is_absolute():
            raise ConfigurationError(
                f"Stream {stream.name}: the path {pattern} is absolute.",
                remedy="Give a path below the source's `root`.",
            )
        files = sorted(path for path in self._root.glob(pattern) if path.is_file())
        if not files:
            raise SourceError(
                f"Stream {stream.name}: no file is called {pattern} in {self._root}.",
                remedy="Correct the stream's `path` or the source's `root`.",
            )
        return files


def _selected(stream: Stream, kinds: dict[str, LandedType]) -> dict[str, LandedType]:
    wanted = set(stream.selected_fields or ())
    if unknown := sorted(wanted - set(kinds)):
        raise ConfigurationError(
            f"Stream {stream.name} has no column {', '.join(unknown)}.",
            remedy=f"Its columns are {', '.join(kinds)}.",
        )
    return {name: kind for name, kind in kinds.items() if name in wanted}


def _batches(text: TextTable, kinds: dict[str, LandedType]) -> Iterator[Batch]:
    columns = ", ".join(quoted(name) for name in kinds)
    reader = text.connection.execute(f"select {columns} from {text.TABLE}").to_arrow_reader(
        BATCH_ROWS
    )
    with Coercer(kinds, text.options.null_values) as coerce:
        for batch in reader:
            yield coerce(pa.Table.from_batches([batch]))
