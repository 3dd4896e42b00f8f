"""The driver against the service itself: what both mean by the contract is the same."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterator
from decimal import Decimal

import pytest
import sqlalchemy as sa

import lavra_driver
from tests.query_service.conftest import close_lake, make_lake, serving


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lavra_driver.Connection]:
    """A connection to a service over one small table and one of 100,000 rows."""
    lake = make_lake(tmp_path_factory.mktemp("driver") / "lake")
    lake.duck.execute("""
        create table lake.gold_test.orders as select 1::bigint as id, 'São Paulo' as city,
            12.50::decimal(18, 2) as amount, timestamp '2024-01-31 10:00:00' as ordered_at,
            date '2024-01-31' as day, null::double as nothing""")
    lake.duck.execute("create table lake.gold_test.many as select i as id from range(100000) t(i)")
    lake.release()
    with serving(lake.settings) as service:
        assert service.base_url.port
        with lavra_driver.connect("127.0.0.1", service.base_url.port) as opened:
            yield opened
    close_lake(lake)


def test_values_parameters_and_streams(connection: lavra_driver.Connection) -> None:
    cursor = connection.execute(
        "select * from gold_test.orders where day = ? and amount = ? and city = ?",
        [dt.date(2024, 1, 31), Decimal("12.5"), "São Paulo"],
    )
    ordered_at = dt.datetime(2024, 1, 31, 10)
    assert cursor.fetchall() == [
        (1, "São Paulo", Decimal("12.50"), ordered_at, ordered_at.date(), None)
    ]
    assert cursor.snapshot_id
    assert cursor.data_through == dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    many = connection.execute("select id from gold_test.many order by id")
    assert many.fetchmany(3) == [(0,), (1,), (2,)]
    assert len(many.fetchall()) == 99_997
    nothing = connection.execute("select id from gold_test.many where false").fetch_arrow_table()
    assert (nothing.num_rows, nothing.schema.names) == (0, ["id"])


@pytest.mark.parametrize(
    ("sql", "kind", "code"),
    [
        ("select * from gold_test.nothing", lavra_driver.ProgrammingError, "unknown_table"),
        ("selec 1", lavra_driver.ProgrammingError, "invalid_sql"),
        ("create table t (a int)", lavra_driver.NotSupportedError, "statement_not_allowed"),
    ],
)
def test_errors(
    connection: lavra_driver.Connection, sql: str, kind: type[lavra_driver.Error], code: str
) -> None:
    with pytest.raises(kind) as caught:
        connection.execute(sql)
    assert caught.value.code == code


def test_reflection(connection: lavra_driver.Connection) -> None:
    engine = sa.create_engine(connection.transport.endpoint.url.replace("http", "lavra") + "/prod")
    inspector = sa.inspect(engine)
    assert inspector.get_table_names("gold_test") == ["many", "orders"]
    kinds = {c["name"]: str(c["type"]) for c in inspector.get_columns("orders", "gold_test")}
    assert kinds == {
        "id": "BIGINT", "city": "VARCHAR", "amount": "DECIMAL(18, 2)", "ordered_at": "TIMESTAMP",
        "day": "DATE", "nothing": "FLOAT",
    }  # fmt: skip
    assert inspector.get_table_comment("orders", "gold_test") == {"text": "All of orders."}
    assert inspector.get_columns("orders", "gold_test")[0]["comment"] == "The key."
    assert inspector.get_pk_constraint("orders", "gold_test")["constrained_columns"] == ["id"]
    engine.dispose()


def test_environments(connection: lavra_driver.Connection) -> None:
    assert [(e["name"], e["ready"]) for e in connection.environments()] == [("prod", True)]


def test_times_are_compared_in_the_lakes_own_unit(connection: lavra_driver.Connection) -> None:
    # Nanoseconds end in the year 2262, and DataFusion compares no times of two units.
    sql = "select count(*) from gold_test.orders where ordered_at < ? and cast(? as varchar) = ?"
    far, time = dt.datetime(9999, 12, 31), dt.time(10, 0, 0, 5)
    assert connection.execute(sql, [far, time, "10:00:00.000005"]).fetchall() == [(1,)]


def test_cancel(connection: lavra_driver.Connection) -> None:
    cursor = connection.cursor()
    query_id = cursor.reserve_query_id()
    slow = "select count(*) from gold_test.many a, gold_test.many b where a.id * b.id % 7 = 3"
    failed: list[lavra_driver.Error] = []

    def run() -> None:
        try:
            cursor.execute(slow).fetchall()
        except lavra_driver.Error as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 20
    while not connection.cancel(query_id) and time.monotonic() < deadline:
        time.sleep(0.05)
    thread.join(timeout=30)
    assert [error.code for error in failed] == ["query_cancelled"]
