"""JSON lines: one object a line, its columns typed by all that the files hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from lavra.errors import SourceError
from lavra.landing import types
from lavra.landing.connections import Stream
from lavra.landing.connectors.batches import RecordParser
from lavra.landing.file_reader import FileReader, selected
from lavra.landing.inference import quoted
from lavra.landing.reading import Batch, StreamRead
from lavra.landing.types import LandedType, parse_type

BATCH_ROWS = 20_000
_LARGEST_BYTES = 512 * 1024 * 1024
_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIMESTAMP = _DATE + "[ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,9})?)?"
_ZONE = " ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)"


class JsonlReader(FileReader):
    """The files of JSON lines (plain, or gzip by their name) of a folder."""

    @contextmanager
    def parsed(self, stream: Stream, files: list[Path]) -> Iterator[StreamRead]:
        """Read files of JSON lines."""
        with duckdb.connect(config={"threads": "2"}) as connection:
            connection.execute("set TimeZone = 'UTC'; set preserve_insertion_order = true")
            connection.execute(
                "create view lines as select json, filename from read_json_objects("
                f"{[str(file) for file in files]}, format => 'newline_delimited', "
                f"maximum_object_size => {_LARGEST_BYTES}, filename => true)"
            )
            try:
                _all_objects(connection)
                kinds = _kinds(connection)
                kinds |= {name: parse_type(text) for name, text in stream.types.items()}
                kinds = selected(stream, kinds)
            except duckdb.Error as error:
                raise _malformed(error) from error
            yield StreamRead(kinds, _batches(connection, kinds))


def _all_objects(connection: duckdb.DuckDBPyConnection) -> None:
    row = connection.execute(
        "select filename, json from lines where json_type(json) <> 'OBJECT' limit 1"
    ).fetchone()
    if row:
        raise SourceError(
            f"{row[0]} has a line that is no JSON object: {row[1][:100]}",
            remedy="Each line must be one object; an array of objects is no file of JSON lines.",
        )


def _kinds(connection: duckdb.DuckDBPyConnection) -> dict[str, LandedType]:
    """Return each property's type, in order of their first appearance."""
    rows = connection.execute(
        f"""
        with keys as (
            select json, unnest(json_keys(json)) as key,
                   generate_subscripts(json_keys(json), 1) as place from lines),
        leaves as (
            select key, place, json_extract(json, '$."' || replace(key, '"', '\\"') || '"') as leaf
            from keys),
        texts as (select *, json_type(leaf) as kind, leaf ->> '$' as text from leaves)
        select key, list(distinct kind) filter (kind <> 'NULL'),
               bool_and(try_cast(text as bigint) is not null)
                   filter (kind in ('BIGINT', 'UBIGINT')),
               bool_and(regexp_full_match(text, '{_DATE}') and try_cast(text as date) is not null)
                   filter (kind = 'VARCHAR'),
               bool_and(regexp_full_match(text, '{_TIMESTAMP}')
                   and try_cast(text as timestamp) is not null) filter (kind = 'VARCHAR'),
               bool_and(regexp_full_match(text, '{_TIMESTAMP}{_ZONE}')
                   and try_cast(text as timestamptz) is not null) filter (kind = 'VARCHAR')
        from texts group by key order by min(place), key
        """
    ).fetchall()
    if not rows:
        raise SourceError("The files hold no object with a property.", remedy="Are they empty?")
    return {row[0]: LandedType(_kind(set(row[1] or ()), *row[2:])) for row in rows}


def _kind(
    found: set[str], fits: bool | None, is_date: bool | None, is_time: bool | None,
    is_zoned: bool | None,
) -> str:  # fmt: skip
    if found == {"VARCHAR"}:
        kinds = ((is_date, types.DATE), (is_time, types.TIMESTAMP), (is_zoned, types.TIMESTAMP_TZ))
        return next((kind for all_are, kind in kinds if all_are), types.STRING)
    if found == {"BOOLEAN"}:
        return types.BOOLEAN
    if found and found <= {"BIGINT", "UBIGINT"}:
        return types.INTEGER if fits else types.STRING
    if found and found <= {"BIGINT", "UBIGINT", "DOUBLE"}:
        return types.NUMBER
    return types.JSON if found - {"VARCHAR"} else types.STRING


def _batches(
    connection: duckdb.DuckDBPyConnection, kinds: dict[str, LandedType]
) -> Iterator[Batch]:
    head = json.dumps({"record": {"data": None}}).replace("null}}", "")
    try:
        reader = connection.execute(
            f"select '{head}' || json || '}}}}' as {quoted('line')} from lines"
        ).to_arrow_reader(BATCH_ROWS)
        with RecordParser(kinds, []) as parser:
            for batch in reader:
                yield parser.parse(batch.column(0))
    except duckdb.Error as error:
        raise _malformed(error) from error


def _malformed(error: duckdb.Error) -> SourceError:
    said = str(error).strip().split("\n", 1)[0]
    return SourceError(
        f"A file of JSON lines is malformed: {said}",
        remedy="Correct that line; each must be one JSON object, in UTF-8.",
    )
