"""The driver against the service itself: what both mean by the contract is the same."""

from __future__ import annotations

import datetime as dt
import threading
import time
from decimal import Decimal

import pytest
import sqlalchemy as sa

import lavra_driver


def test_values_parameters_and_streams(real: lavra_driver.Connection) -> None:
    cursor = real.execute(
        "select * from gold_test.orders where day = ? and amount = ? and city = ?",
        [dt.date(2024, 1, 31), Decimal("12.5"), "São Paulo"],
    )
    ordered_at = dt.datetime(2024, 1, 31, 10)
    assert cursor.fetchall() == [
        (1, "São Paulo", Decimal("12.50"), ordered_at, ordered_at.date(), None)
    ]
    assert cursor.snapshot_id
    assert cursor.data_through == dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    many = real.execute("select id from gold_test.many order by id")
    assert many.fetchmany(3) == [(0,), (1,), (2,)]
    assert len(many.fetchall()) == 99_997
    nothing = real.execute("select id from gold_test.many where false").fetch_arrow_table()
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
    real: lavra_driver.Connection, sql: str, kind: type[lavra_driver.Error], code: str
) -> None:
    with pytest.raises(kind) as caught:
        real.execute(sql)
    assert caught.value.code == code


def test_reflection(real_url: str) -> None:
    engine = sa.create_engine(real_url)
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
    # The service's own view of the release, which dashboards show freshness from.
    assert inspector.get_view_names("lavra") == ["tables"]
    assert inspector.get_table_names("lavra") == inspector.get_view_names("gold_test") == []
    view = sa.Table("tables", sa.MetaData(), schema="lavra", autoload_with=engine)
    assert not list(view.primary_key)
    with engine.connect() as opened:
        rows = opened.execute(sa.select(view.c.table_name, view.c.data_through)).all()
    assert [(row[0], row[1].year) for row in sorted(rows)] == [("many", 2026), ("orders", 2026)]
    with pytest.raises(NotImplementedError):
        inspector.get_view_definition("tables", "lavra")
    engine.dispose()


def test_dates_spans_and_explain(real_url: str) -> None:
    engine = sa.create_engine(real_url)
    orders = sa.Table("orders", sa.MetaData(), schema="gold_test", autoload_with=engine)
    at, day = dt.datetime(2024, 1, 31, 10), dt.date(2024, 1, 31)
    span = dt.timedelta(days=1, hours=-2)
    since = orders.c.ordered_at - sa.literal(at - span)
    statement = sa.select(
        orders.c.ordered_at + span,
        orders.c.day - dt.timedelta(days=1),
        since,
        sa.func.date_trunc("month", orders.c.day),
        orders.c.ordered_at.between(at - span, at),
        sa.cast("1 day", sa.Interval) == dt.timedelta(1),
    )
    with engine.connect() as connection:
        assert tuple(connection.execute(statement).one()) == (
            at + span, day - dt.timedelta(1), span, dt.datetime(2024, 1, 1), True, True,
        )  # fmt: skip
        plan = connection.execute(sa.text("explain select * from gold_test.orders")).all()
        assert [kind for kind, _ in plan] == ["logical_plan", "physical_plan"]
    engine.dispose()


def test_environments(real: lavra_driver.Connection) -> None:
    assert [(e["name"], e["ready"]) for e in real.environments()] == [("prod", True)]


def test_times_are_compared_in_the_lakes_own_unit(real: lavra_driver.Connection) -> None:
    # Nanoseconds end in the year 2262, and DataFusion compares no times of two units.
    sql = "select count(*) from gold_test.orders where ordered_at < ? and cast(? as varchar) = ?"
    far, time = dt.datetime(9999, 12, 31), dt.time(10, 0, 0, 5)
    assert real.execute(sql, [far, time, "10:00:00.000005"]).fetchall() == [(1,)]


def test_cancel(real: lavra_driver.Connection) -> None:
    cursor = real.cursor()
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
    while not real.cancel(query_id) and time.monotonic() < deadline:
        time.sleep(0.05)
    thread.join(timeout=30)
    assert [error.code for error in failed] == ["query_cancelled"]
