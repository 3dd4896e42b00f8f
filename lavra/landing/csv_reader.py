"""A CSV source: the files of a folder, read in full, typed by what they hold."""

from __future__ import annotations

import hashlib
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
    def read(self, stream: Stream, state: dict[str, Any] | None) -> Iterator[StreamRead]:
        """Begin to read a stream's files; see :class:`lavra.landing.reading.SourceReader`.

        A stream that is overwritten by each run is not read again while its files and its
        declaration are the same, so that the models that read it have nothing to do either.
        """
        files = self._files(stream)
        next_state = None
        if stream.sync_mode == "full_refresh_overwrite":
            next_state = {"digest": _digest(stream, files)}
            if state == next_state:
                yield StreamRead({}, iter(()), next_state, is_unchanged=True)
                return
        declared = {name: parse_type(kind) for name, kind in stream.types.items()}
        with load_text(files, stream.format) as text:
            kinds = infer_types(text, declared)
            if stream.selected_fields is not None:
                kinds = _selected(stream, kinds)
            batches = _batches(text, kinds)
            yield StreamRead(kinds, batches, next_state, skipped_count=text.skipped_rows)

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


def _digest(stream: Stream, files: list[Path]) -> str:
    """Return a digest of all that decides what a stream lands: its declaration, its files."""
    digest = hashlib.sha256(stream.model_dump_json().encode())
    for path in files:
        digest.update(f"\0{path.name}\0".encode())
        with path.open("rb") as content:
            while part := content.read(1024 * 1024):
                digest.update(part)
    return digest.hexdigest()


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
