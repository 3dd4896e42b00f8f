"""Postgres values: every type arrives as itself, and one that cannot is null and recorded."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import psycopg
import pyarrow as pa

from tests.lavra.landing.conftest import Lander

UTC = dt.UTC


def test_types(source: psycopg.Connection, lander: Lander) -> None:
    source.execute(
        """
        create type mood as enum ('happy');
        create domain price as numeric(9, 3);
        create table things (
            id bigint, small smallint, exact numeric(12, 2), loose numeric, hundreds numeric(4, -2),
            ratio double precision, flag boolean, day date, at timestamptz, plain timestamp,
            hour time, doc jsonb, tags text[], raw bytea, key uuid, mood mood, price price,
            "odd ""name" text, span interval);
        insert into things values (
            9223372036854775807, -3, 1234.50, 0.1, 1200, 0.30000000000000004, true, '2024-02-29',
            '2024-01-01 12:00:00.123456-03', '2024-01-01 12:00', '23:59:59.5', '{"a": [1, null]}',
            array['x,y', null, 'z"'], '\\x00ff', '0b0e2f5a-8a3c-4f7e-9a54-2f6f3a1c9d11', 'happy',
            1.005, e'two\\nlines, "quoted"', '1 day');
        insert into things (id, "odd ""name") values (null, '');
        """
    )
    assert lander.land().error is None
    table = lander.landed()
    first, second = table.to_pylist()
    assert first | {"_": 0} == first | {
        "_": 0, "id": 2**63 - 1, "small": -3, "exact": Decimal("1234.50"), "loose": 0.1,
        "hundreds": Decimal(1200), "ratio": 0.30000000000000004, "flag": True,
        "day": dt.date(2024, 2, 29), "at": dt.datetime(2024, 1, 1, 15, 0, 0, 123456, UTC),
        "plain": dt.datetime(2024, 1, 1, 12), "hour": dt.time(23, 59, 59, 500000),
        "doc": '{"a": [1, null]}', "tags": '["x,y",null,"z\\""]', "raw": b"\x00\xff",
        "key": "0b0e2f5a-8a3c-4f7e-9a54-2f6f3a1c9d11", "mood": "happy",
        "price": Decimal("1.005"), 'odd "name': 'two\nlines, "quoted"', "span": "1 day",
    }  # fmt: skip
    own = [name for name in table.schema.names if not name.startswith("_airbyte_")]
    assert {name: second[name] for name in own} == dict.fromkeys(own) | {'odd "name': ""}
    assert table.schema.field("exact").type == pa.decimal128(12, 2)
    assert table.schema.field("at").type == pa.timestamp("us", "UTC")


def test_values_without_a_place_are_null_and_recorded(
    source: psycopg.Connection, lander: Lander
) -> None:
    source.execute(
        "create table things (id int, day date, at timestamptz, exact numeric(9, 2));"
        "insert into things values (1, 'infinity', '2024-01-01', 'NaN'),"
        "(2, '2024-01-01', '-infinity', 5), (3, '0044-03-15 BC', null, null)"
    )
    result = lander.land()
    assert (result.row_count, result.misfit_count) == (3, 4)
    rows = sorted(lander.rows("id", "day", "at", "exact"))
    assert rows == [
        (1, None, dt.datetime(2024, 1, 1, tzinfo=UTC), None),
        (2, dt.date(2024, 1, 1), None, Decimal("5.00")),
        (3, None, None, None),
    ]
    changes = {row[0]: [c["field"] for c in row[1]["changes"]]
               for row in lander.rows("id", "_airbyte_meta")}  # fmt: skip
    assert changes == {1: ["day", "exact"], 2: ["at"], 3: ["day"]}
    [meta] = [row[1] for row in lander.rows("id", "_airbyte_meta") if row[0] == 2]
    assert meta["changes"] == [
        {"field": "at", "change": "NULLED", "reason": "DESTINATION_TYPECAST_ERROR"}
    ]


def test_fields_are_selected_and_retyped(source: psycopg.Connection, lander: Lander) -> None:
    source.execute("create table things (id int, loose numeric, secret text)")
    source.execute("insert into things values (1, 12.345, 'x'), (2, 12.34, 'y')")
    result = lander.land(selected_fields=["id", "loose"], types={"loose": "decimal(10,2)"})
    assert result.misfit_count == 1
    assert sorted(lander.rows("id", "loose")) == [(1, None), (2, Decimal("12.34"))]
    assert "secret" not in lander.landed().schema.names
    result = lander.land(selected_fields=["nope"])
    assert "has no column nope" in (result.error or "")


def test_streams_of_one_run_agree_with_each_other(
    source: psycopg.Connection, lander: Lander
) -> None:
    from lavra.landing.postgres_source import open_postgres

    source.execute("create table a (id int); create table b (id int)")
    with open_postgres(source.info.dsn) as reader:
        stream = lander.connection().streams[0]
        one, other = (stream.model_copy(update={"name": name}) for name in "ab")
        with reader.read(one, None) as read:
            assert list(read.batches) == []
        source.execute("insert into a values (1); insert into b values (1)")
        with reader.read(other, None) as read:
            assert list(read.batches) == []


def test_a_column_of_our_own_name_is_refused(source: psycopg.Connection, lander: Lander) -> None:
    source.execute("create table things (id int, _airbyte_meta text)")
    assert "a name of the landing's own" in (lander.land().error or "")
    assert lander.land(selected_fields=["id"]).error is None
