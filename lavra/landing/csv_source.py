"""CSV files as text columns: encoding, delimiter and header detected, every row accounted for.

Parsing is PyArrow's (strict, in blocks, so memory stays bounded); values stay text here and get
their types in :mod:`lavra.landing.inference`. Python's slower parser is used for two things: to
look at the first rows, and to name the line of a row that does not fit.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import pyarrow as pa
import pyarrow.csv as pacsv
from pydantic import BaseModel, ConfigDict, Field

from lavra.errors import SourceError

NULL_VALUES = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "\\N")
_DELIMITERS = (",", ";", "\t", "|")
_LOOK_AT_BYTES = 256 * 1024
_BLOCK_BYTES = 16 * 1024 * 1024
_MAX_FIELD_BYTES = 128 * 1024 * 1024
_SHOWN_ROWS = 5

# The longest first: the mark of UTF-32 starts with that of UTF-16.
_NO_CSV = (
    (b"PK\x03\x04", "a zip archive, perhaps a spreadsheet", "Export it as CSV."),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet", "Export it as CSV."),
    (b"\x1f\x8b", "compressed by gzip", "Decompress it first."),
    (b"PAR1", "a Parquet file", "Export it as CSV."),
    (b"%PDF", "a PDF document", "Export its table as CSV."),
)
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class CsvOptions(BaseModel):
    """How a CSV file is written. What is None is detected."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoding: str | None = Field(
        default=None,
        description="Text encoding, as Python names it. Detected: by byte order mark, else UTF-8 "
        "when the whole file is, else Windows-1252.",
    )
    delimiter: str | None = Field(
        default=None, min_length=1, max_length=1, description="One of , ; tab | when not given."
    )
    quote: str = Field(default='"', min_length=1, max_length=1, description="Quote character.")
    escape: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="Escape character inside quotes, beside the doubled quote.",
    )
    header: bool = Field(default=True, description="Whether the first row holds column names.")
    skip_lines: int = Field(default=0, ge=0, description="Lines before the header to leave out.")
    null_values: tuple[str, ...] = Field(
        default=NULL_VALUES, description="Unquoted texts that mean null."
    )
    quoted_nulls: bool = Field(
        default=False, description='Whether a quoted null value ("NA") is null too.'
    )
    decimal_comma: bool | None = Field(
        default=None,
        description="Whether numbers are written 1.234,56. Detected where the delimiter is not a "
        "comma.",
    )
    ragged_rows: Literal["fail", "skip"] = Field(
        default="fail",
        description="What to do with a row of too few or too many fields: fail naming its line, "
        "or leave it out and count it.",
    )


@dataclass(frozen=True)
class CsvDialect:
    """How a CSV file turned out to be written, and its columns.

    Attributes:
        encoding: Python's name of the encoding.
        delimiter: The field separator.
        headers: The header's own texts; empty texts where there is none.
        names: The columns' names in the lake, unique, in the same order.
        has_no_rows: Whether there is a header and nothing else.
    """

    encoding: str
    delimiter: str
    headers: tuple[str, ...]
    names: tuple[str, ...]
    has_no_rows: bool


@dataclass
class CsvText:
    """An open CSV file: its batches hold one string column for each of ``dialect.names``."""

    path: Path
    dialect: CsvDialect
    batches: pa.RecordBatchReader
    skipped: list[int]
    """Physical rows (1 is the header) left out because they are ragged; filled while reading."""


def column_name(header: str) -> str:
    """Return the lake's name for a header: ``Preço (R$)`` becomes ``preco_r``."""
    plain = unicodedata.normalize("NFKD", header).encode("ascii", "ignore").decode()
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain)
    name = re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")
    return f"column_{name}" if name[:1].isdigit() else name


def column_names(headers: list[str]) -> list[str]:
    """Return a unique name for each header; an empty one is named after its place."""
    names: list[str] = []
    for place, header in enumerate(headers, start=1):
        base = name = column_name(header) or f"column_{place}"
        count = 1
        while name in names or name.startswith("_airbyte_"):
            count += 1
            name = f"{base.removeprefix('_airbyte_')}_{count}"
        names.append(name)
    return names


def detect_dialect(path: Path, options: CsvOptions | None = None) -> CsvDialect:
    """Find out how a file is written.

    Raises:
        SourceError: it is missing or empty, or its bytes are not of the declared encoding.
    """
    options = options or CsvOptions()
    _check_text(path)
    encoding = options.encoding or _detect_encoding(path)
    try:
        with path.open(encoding=encoding, newline="") as stream:
            for _ in range(options.skip_lines):
                stream.readline()
            text = stream.read(_LOOK_AT_BYTES)
            complete = not stream.read(1)
    except (UnicodeError, LookupError) as error:
        raise _not_in(path, encoding, error) from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from error
    if not text.strip("\r\n"):
        raise SourceError(
            f"{path} is empty: it has no header.", remedy="A CSV file without rows has a header."
        )
    delimiter = options.delimiter or _detect_delimiter(text, options, complete=complete)
    rows = _rows(text, delimiter, options)
    first = next(row for row in rows if row)
    headers = [field.strip() for field in first] if options.header else [""] * len(first)
    no_rows = options.header and complete and next(rows, None) is None
    return CsvDialect(encoding, delimiter, tuple(headers), tuple(column_names(headers)), no_rows)


@contextmanager
def open_csv(path: Path, options: CsvOptions | None = None) -> Iterator[CsvText]:
    """Open a CSV file as batches of text columns; empty fields and NA values are null.

    Raises:
        SourceError: the file is not well formed; the message names it and the line. Some of
            this is only seen while the batches are read, inside the block.
    """
    options = options or CsvOptions()
    dialect = detect_dialect(path, options)
    skipped: list[int] = []
    width = len(dialect.names)

    def on_ragged(row: pacsv.InvalidRow) -> str:
        skipped.append(row.number or 0)
        return "skip" if options.ragged_rows == "skip" else "error"

    _check_quotes(path, dialect, options)
    if dialect.has_no_rows:
        empty = pa.schema([(name, pa.string()) for name in dialect.names])
        yield CsvText(path, dialect, pa.RecordBatchReader.from_batches(empty, []), skipped)
        return
    try:
        with _utf8(path, dialect.encoding) as stream:
            reader = pacsv.open_csv(
                stream,
                read_options=pacsv.ReadOptions(
                    use_threads=False,
                    block_size=_BLOCK_BYTES,
                    skip_rows=options.skip_lines,
                    skip_rows_after_names=1 if options.header else 0,
                    column_names=list(dialect.names),
                ),
                parse_options=pacsv.ParseOptions(
                    delimiter=dialect.delimiter,
                    quote_char=options.quote,
                    escape_char=options.escape or False,
                    newlines_in_values=True,
                    # A row of one empty field is a blank line to other readers.
                    ignore_empty_lines=width > 1,
                    invalid_row_handler=on_ragged,
                ),
                convert_options=pacsv.ConvertOptions(
                    column_types=dict.fromkeys(dialect.names, pa.string()),
                    null_values=list(options.null_values),
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=options.quoted_nulls,
                ),
            )
            yield CsvText(path, dialect, reader, skipped)
    except pa.ArrowInvalid as error:
        raise _explained(path, dialect, options, error) from error
    except UnicodeError as error:
        raise _not_in(path, dialect.encoding, error) from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from error


def _check_text(path: Path) -> None:
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from error
    for magic, what, remedy in _NO_CSV:
        if head.startswith(magic):
            raise SourceError(f"{path}, from its first byte on, is {what}.", remedy=remedy)


def _not_in(path: Path, encoding: str, error: Exception) -> SourceError:
    """Return the error for a file whose bytes are not of an encoding, naming the first line."""
    place = ""
    if isinstance(error, UnicodeDecodeError):
        with path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                try:
                    line.decode(encoding)
                except UnicodeError:
                    place = f", line {number},"
                    break
    return SourceError(
        f"{path}{place} is not written in {encoding}: {error}.",
        remedy="Declare `encoding` in the stream's `format` (for instance cp1252).",
    )


def _detect_encoding(path: Path) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
            for mark, encoding in _BYTE_ORDER_MARKS:
                if head.startswith(mark):
                    return encoding
            stream.seek(0)
            while block := stream.read(_BLOCK_BYTES):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.") from error
    return "utf-8"


def _detect_delimiter(text: str, options: CsvOptions, *, complete: bool) -> str:
    """Return the candidate that cuts the rows most evenly, into the most fields."""
    best, best_score = ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        widths = [len(row) for row in _rows(text, delimiter, options) if row]
        if not complete and len(widths) > 1:
            widths.pop()  # cut off by our own limit
        if not widths or widths[0] < 2:
            continue
        even = sum(width == widths[0] for width in widths) / len(widths)
        if (even, widths[0]) > best_score:
            best, best_score = delimiter, (even, widths[0])
    return best


def _rows(text: str, delimiter: str, options: CsvOptions) -> Iterator[list[str]]:
    yield from _python_reader(io.StringIO(text, newline=""), delimiter, options)


def _python_reader(stream: Any, delimiter: str, options: CsvOptions) -> Any:
    csv.field_size_limit(_MAX_FIELD_BYTES)
    return csv.reader(
        stream, delimiter=delimiter, quotechar=options.quote, escapechar=options.escape
    )


@contextmanager
def _utf8(path: Path, encoding: str) -> Iterator[Any]:
    """Open a file as a stream of UTF-8 bytes without a byte order mark."""
    with path.open("rb") as raw:
        if encoding in {"utf-8", "utf-8-sig"}:
            yield raw  # PyArrow leaves UTF-8's byte order mark out by itself
        else:
            with pa.PythonFile(raw, mode="r") as plain:
                yield pa.transcoding_input_stream(plain, encoding, "utf-8")


def _check_quotes(path: Path, dialect: CsvDialect, options: CsvOptions) -> None:
    """Refuse a file whose last quoted field never ends: it would swallow the rows after it."""
    if options.escape:
        return
    quote, count = options.quote.encode(), 0
    with _utf8(path, dialect.encoding) as stream:
        while block := cast("BinaryIO", stream).read(_BLOCK_BYTES):
            count += block.count(quote)
    if count % 2 == 0:
        return
    with path.open(encoding=dialect.encoding, newline="") as text:
        reader = _python_reader(text, dialect.delimiter, options)
        end, last = 0, 0
        for _ in reader:
            end, last = last, reader.line_num
    with path.open(encoding=dialect.encoding, newline="") as text:
        tail = "".join(line for number, line in enumerate(text, start=1) if number > end)
    try:
        list(csv.reader(io.StringIO(tail, newline=""), delimiter=dialect.delimiter,
                        quotechar=options.quote, strict=True))  # fmt: skip
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise SourceError(
                f"{path}, line {end + 1}: a quoted field starts here and never ends.",
                remedy=f"Close it with {options.quote}, or set another `quote` in the stream's "
                "`format`.",
            ) from error


def _explained(
    path: Path, dialect: CsvDialect, options: CsvOptions, error: pa.ArrowInvalid
) -> SourceError:
    """Say in which line of the file PyArrow's complaint is."""
    if "invalid UTF8" in str(error):
        return SourceError(
            f"{path} is not written in {dialect.encoding}: {error}.",
            remedy="Declare `encoding` in the source's configuration (for instance cp1252).",
        )
    width, found = len(dialect.names), []
    with path.open(encoding=dialect.encoding, newline="", errors="replace") as stream:
        for _ in range(options.skip_lines):
            stream.readline()
        reader = _python_reader(stream, dialect.delimiter, options)
        line = options.skip_lines + 1
        for row in reader:
            if row and len(row) != width:
                found.append(f"line {line} has {len(row)}")
            line = options.skip_lines + reader.line_num + 1
            if len(found) > _SHOWN_ROWS:
                break
    if not found:
        return SourceError(f"{path} is not a well-formed CSV file: {error}.")
    more = " and more" if len(found) > _SHOWN_ROWS else ""
    return SourceError(
        f"{path}: the header has {width} fields, but {', '.join(found[:_SHOWN_ROWS])}{more}.",
        remedy="Correct the rows (a field that holds the delimiter must be quoted), or set "
        "`ragged_rows: skip` to leave them out and count them.",
    )
