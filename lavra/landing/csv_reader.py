"""A CSV source: the files of a folder, read in full, typed by what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from lavra.landing.coerce import Coercer
from lavra.landing.connections import Stream
from lavra.landing.file_reader import FileReader, selected
from lavra.landing.inference import TextTable, infer_types, load_text, quoted
from lavra.landing.reading import Batch, StreamRead
from lavra.landing.types import LandedType, parse_type

BATCH_ROWS = 100_000


class CsvReader(FileReader):
    """The CSV files of a folder."""

    @contextmanager
    def parsed(self, stream: Stream, files: list[Path]) -> Iterator[StreamRead]:
        """Read CSV files, typed by all that they hold."""
        declared = {name: parse_type(kind) for name, kind in stream.types.items()}
        with load_text(files, stream.format) as text:
            kinds = selected(stream, infer_types(text, declared))
            yield StreamRead(kinds, _batches(text, kinds), skipped_count=text.skipped_rows)


def _batches(text: TextTable, kinds: dict[str, LandedType]) -> Iterator[Batch]:
    columns = ", ".join(quoted(name) for name in kinds)
    reader = text.connection.execute(f"select {columns} from {text.TABLE}").to_arrow_reader(
        BATCH_ROWS
    )
    with Coercer(kinds, text.options.null_values) as coerce:
        for batch in reader:
            yield coerce(pa.Table.from_batches([batch]))
