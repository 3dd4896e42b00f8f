"""Writes the Bronze contract: Parquet files with Airbyte's columns, under Airbyte's paths.

A file holds the stream's columns and these four::

    _airbyte_raw_id         string                 one of a kind for each landed row
    _airbyte_extracted_at   timestamp(us, UTC)     when the source was read
    _airbyte_meta           struct<sync_id: int64, changes: list<struct<field, change, reason>>>
    _airbyte_generation_id  int64                  rises by one when a stream is read afresh

Its path is ``bronze/<namespace>/<stream>/<YYYY>_<MM>_<DD>_<epoch ms>_<part>.parquet``. Writing a
file does not land it: it counts from the moment the manifest names it
(:mod:`lavra.landing.manifest`).
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lavra.errors import SourceError

if TYPE_CHECKING:
    from lavra.storage import LakeStorage

RAW_ID = "_airbyte_raw_id"
EXTRACTED_AT = "_airbyte_extracted_at"
META = "_airbyte_meta"
GENERATION_ID = "_airbyte_generation_id"
CHANGE_TYPE = pa.struct([("field", pa.string()), ("change", pa.string()), ("reason", pa.string())])
META_TYPE = pa.struct([("sync_id", pa.int64()), ("changes", pa.list_(CHANGE_TYPE))])
CONTRACT = pa.schema(
    [
        (RAW_ID, pa.string()),
        (EXTRACTED_AT, pa.timestamp("us", "UTC")),
        (META, META_TYPE),
        (GENERATION_ID, pa.int64()),
    ]
)
BRONZE = "bronze"

ROWS_PER_FILE = 1_000_000
BYTES_PER_FILE = 256 * 1024 * 1024
"""Size in memory at which a file is closed; on disk it is some five times smaller."""

_COUNTER_SIZE = 65_536


@dataclass(frozen=True)
class Change:
    """What landing did to one value, in the words of Airbyte's protocol."""

    field: str
    change: str = "NULLED"
    reason: str = "DESTINATION_TYPECAST_ERROR"


Changes = Mapping[int, list[Change]]
"""Changes by the row's place in its batch."""


@dataclass(frozen=True)
class WrittenFile:
    """A file that is durable, and not landed yet."""

    path: str
    row_count: int
    size: int


def stream_folder(namespace: str, stream: str) -> str:
    """Return the folder of a stream, below the lake's root."""
    return f"{BRONZE}/{namespace}/{stream}"


def file_prefix(namespace: str, stream: str, started_at: dt.datetime) -> str:
    """Return what the path of every file of one sync starts with."""
    at = started_at.astimezone(dt.UTC)
    epoch_ms = round(at.timestamp() * 1000)
    return f"{stream_folder(namespace, stream)}/{at:%Y_%m_%d}_{epoch_ms}_"


class BronzeWriter:
    """Writes the rows of one sync of one stream; a context manager.

    Leaving the block normally makes the last file durable; leaving it by an exception discards
    the file being written. Files that were complete stay, as orphans that nobody reads, for the
    stream's next run to remove.

    Args:
        storage: The lake's files.
        prefix: From :func:`file_prefix`.
        schema: The stream's own columns.
        sync_id: Goes into every row's ``_airbyte_meta``.
        generation_id: Goes into every row.
        extracted_at: When the source was read.
        rows_per_file: Rows after which a file is closed and the next one begun.
    """

    def __init__(
        self,
        storage: LakeStorage,
        prefix: str,
        schema: pa.Schema,
        *,
        sync_id: int,
        generation_id: int,
        extracted_at: dt.datetime,
        rows_per_file: int = ROWS_PER_FILE,
    ) -> None:
        if taken := [name for name in schema.names if name in CONTRACT.names]:
            raise SourceError(
                f"The source has a column {', '.join(taken)}, a name of the landing's own.",
                remedy="Leave it out with the stream's `selected_fields`.",
            )
        self.schema = pa.schema([*schema, *CONTRACT])
        self.files: list[WrittenFile] = []
        self.row_count = 0
        self.misfit_count = 0
        self._storage, self._prefix = storage, prefix
        self._sync_id, self._generation_id = sync_id, generation_id
        self._extracted_at, self._rows_per_file = extracted_at, rows_per_file
        self._open = ExitStack()
        self._writer: pq.ParquetWriter | None = None
        self._stream: Any = None
        self._file_rows = self._file_bytes = 0
        self._unique = uuid.uuid4().hex

    def __enter__(self) -> BronzeWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        if kind is None:
            self._finish_file()
        else:
            self._writer = None
            self._open.__exit__(kind, *rest)

    @property
    def size(self) -> int:
        """Bytes of the files that are complete."""
        return sum(file.size for file in self.files)

    def write(self, batch: pa.Table, changes: Changes | None = None) -> None:
        """Append rows; columns are the schema's, in its order."""
        for start in range(0, batch.num_rows, self._rows_per_file):
            piece = batch.slice(start, self._rows_per_file)
            shifted = {
                row - start: made
                for row, made in (changes or {}).items()
                if 0 <= row - start < piece.num_rows
            }
            self._write_piece(piece, shifted)

    def ensure_file(self) -> None:
        """Begin a file even if no row came: an empty table has a schema too."""
        if not self.files and self._writer is None:
            self._begin_file()

    def _write_piece(self, batch: pa.Table, changes: Changes) -> None:
        if self._writer is None:
            self._begin_file()
        columns = [*batch.columns, *self._contract_columns(batch.num_rows, changes)]
        assert self._writer is not None  # noqa: S101 - for mypy: begun above
        self._writer.write_table(pa.table(columns, schema=self.schema))
        self.row_count += batch.num_rows
        self.misfit_count += sum(map(len, changes.values()))
        self._file_rows += batch.num_rows
        self._file_bytes += batch.nbytes
        if self._file_rows >= self._rows_per_file or self._file_bytes >= BYTES_PER_FILE:
            self._finish_file()

    def _begin_file(self) -> None:
        path = f"{self._prefix}{len(self.files)}.parquet"
        self._stream = self._open.enter_context(self._storage.publish(path))
        self._writer = pq.ParquetWriter(
            self._stream,
            self.schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=_repetitive(self.schema),
            # Raw ids count up: what they share with the one before is not stored again.
            column_encoding={RAW_ID: "DELTA_BYTE_ARRAY"},
        )
        self._file_rows = self._file_bytes = 0

    def _finish_file(self) -> None:
        if self._writer is None:
            return
        self._writer.close()
        self._writer = None
        size = self._stream.tell()
        self._open.close()  # durable from here on
        path = f"{self._prefix}{len(self.files)}.parquet"
        self.files.append(WrittenFile(path, self._file_rows, size))

    def _contract_columns(self, count: int, changes: Changes) -> list[pa.Array]:
        return [
            self._raw_ids(count),
            pa.repeat(pa.scalar(self._extracted_at, CONTRACT.field(EXTRACTED_AT).type), count),
            self._meta(count, changes),
            pa.repeat(pa.scalar(self._generation_id, pa.int64()), count),
        ]

    def _raw_ids(self, count: int) -> pa.ChunkedArray:
        """Number the rows behind one random prefix: as unique as UUIDs, and they compress."""
        unique, parts, first = self._unique, [], self.row_count
        head = f"{unique[:8]}-{unique[8:12]}-8{unique[12:15]}-a{unique[15:18]}-"
        while count > 0:
            high, low = divmod(first, _COUNTER_SIZE)
            take = min(count, _COUNTER_SIZE - low)
            parts.append(
                pc.binary_join_element_wise(f"{head}{high:08x}", _counter().slice(low, take), "")
            )
            first, count = first + take, count - take
        return pa.chunked_array(parts, pa.string())

    def _meta(self, count: int, changes: Changes) -> pa.Array:
        lengths = [len(changes.get(row, ())) for row in range(count)] if changes else None
        if lengths is None:
            offsets = pa.repeat(pa.scalar(0, pa.int32()), count + 1)
            flat = pa.array([], CHANGE_TYPE)
        else:
            ends = [0]
            for length in lengths:
                ends.append(ends[-1] + length)
            offsets = pa.array(ends, pa.int32())
            flat = pa.array(
                [vars(change) for row in sorted(changes) for change in changes[row]], CHANGE_TYPE
            )
        return pa.StructArray.from_arrays(
            [
                pa.repeat(pa.scalar(self._sync_id, pa.int64()), count),
                pa.ListArray.from_arrays(offsets, flat),
            ],
            fields=list(META_TYPE),
        )


def _repetitive(schema: pa.Schema) -> list[str]:
    """Return the columns worth a dictionary: text often repeats itself, numbers rarely do."""
    texts = [f.name for f in schema if pa.types.is_string(f.type) and f.name != RAW_ID]
    return [*texts, EXTRACTED_AT, GENERATION_ID, f"{META}.sync_id"]


@cache
def _counter() -> pa.Array:
    return pa.array([f"{number:04x}" for number in range(_COUNTER_SIZE)])
