"""The SQLAlchemy dialect: URLs, reflection, and SQL that DataFusion runs."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

import lavra_driver

if TYPE_CHECKING:
    from toy_service import ToyService


@pytest.fixture
def engine(service: ToyService) -> Iterator[sa.Engine]:
    """An engine over the stand-in."""
    made = sa.create_engine(f"lavra://:k%2Fey@127.0.0.1:{service.port}/dev")
    yield made
    made.dispose()


@pytest.fixture
def orders(engine: sa.Engine) -> sa.Table:
    """The orders table as reflected."""
    return sa.Table("orders", sa.MetaData(), schema="gold_commerce", autoload_with=engine)


def test_import_needs_nothing_but_python() -> None:
    script = (
        "import sys, lavra_driver; "
        "loaded = {'pyarrow', 'urllib3', 'sqlalchemy', 'superset'} & set(sys.modules); "
        "sys.exit(str(loaded) if loaded else 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_url_masks_the_key_and_reaches_the_service(engine: sa.Engine, service: ToyService) -> None:
    assert "k%2Fey" not in str(engine.url)
    with engine.connect() as connection:
        assert connection.execute(sa.text("select 1")).scalar() == 1
    _, _, headers, body = service.requests[-1]
    assert headers["Authorization"] == "Bearer k/ey"
    assert body["environment"] == "dev"


@pytest.mark.parametrize(
    ("query", "message"),
    [("nope=1", "unknown parameter 'nope'"), ("https=maybe", "https"), ("retries=x", "retries")],
)
def test_wrong_urls(service: ToyService, query: str, message: str) -> None:
    with pytest.raises(lavra_driver.InterfaceError, match=message):
        sa.create_engine(f"lavra://127.0.0.1:{service.port}/prod?{query}").connect()


def test_reflection(engine: sa.Engine) -> None:
    inspector = sa.inspect(engine)
    assert inspector.get_schema_names() == ["gold_commerce", "gold_finance", "lavra"]
    assert inspector.default_schema_name is None
    assert inspector.get_table_names() == []
    assert inspector.get_table_names("gold_commerce") == ["orders"]
    assert inspector.get_table_names("gold_finance") == ["rates"]
    assert inspector.get_view_names() == []
    assert inspector.has_table("orders", "gold_commerce")
    assert not inspector.has_table("orders", "gold_finance")
    columns = {
        column["name"]: column for column in inspector.get_columns("orders", "gold_commerce")
    }
    assert str(columns["revenue"]["type"]) == "DECIMAL(18, 2)"
    assert isinstance(columns["ordered_at"]["type"], sa.TIMESTAMP)
    assert columns["state"]["comment"] == "The state."
    assert not columns["order_id"]["nullable"]
    assert inspector.get_pk_constraint("orders", "gold_commerce")["constrained_columns"] == [
        "order_id"
    ]
    assert inspector.get_table_comment("orders", "gold_commerce") == {"text": "All orders."}
    assert (
        inspector.get_foreign_keys("orders", "gold_commerce")
        == inspector.get_indexes("orders", "gold_commerce")
        == []
    )
    with pytest.raises(sa.exc.NoSuchTableError):
        inspector.get_columns("nothing", "gold_commerce")


def test_expressions_run(engine: sa.Engine, orders: sa.Table) -> None:
    month = sa.func.date_trunc("month", orders.c.ordered_at).label("month")
    ranked = sa.func.row_number().over(order_by=orders.c.revenue.desc().nulls_last()).label("n")
    cte = sa.select(orders.c.state, orders.c.revenue, ranked).cte("ranked")
    cases: list[tuple[Any, list[tuple[Any, ...]]]] = [
        (
            sa.select(month, sa.func.sum(orders.c.revenue))
            .where(orders.c.ordered_at.is_not(None))
            .group_by(sa.func.date_trunc("month", orders.c.ordered_at)),
            [(dt.datetime(1970, 1, 1), Decimal("30.50"))],
        ),
        (sa.select(cte.c.state).where(cte.c.n == 1), [("RJ",)]),
        (
            sa.select(orders.c.order_id).order_by(orders.c.order_id).limit(1).offset(1),
            [(2,)],
        ),
        (sa.select(orders.c.order_id).order_by(orders.c.order_id).offset(2), [(3,)]),
        (
            sa.select(orders.c.order_id).where(orders.c.ordered_at >= dt.datetime(1970, 1, 2)),
            [(2,)],
        ),
        (sa.select(orders.c.order_id).where(orders.c.state.ilike("s_o%")), [(3,)]),
        (sa.select(orders.c.order_id).where(orders.c.state.regexp_match("^R")), [(2,)]),
        (sa.select(orders.c.order_id).where(orders.c.state.in_([])), []),
        (sa.select(orders.c.order_id).where(orders.c.state.in_(["SP", "x"])), [(1,)]),
        # An escape other than DataFusion's own, and one that is a quote.
        (sa.select(orders.c.order_id).where(orders.c.state.contains("%", autoescape=True)), []),
        (sa.select(orders.c.order_id).where(orders.c.state.like("S'P", escape="'")), [(1,)]),
        (sa.select(orders.c.order_id).where(orders.c.state.ilike("s#P", escape="#")), [(1,)]),
        (sa.select(sa.literal(r"a\%").like(r"a\#%", escape="#")), [(True,)]),
        (sa.select(sa.literal(r"a\b").like(r"a\#%", escape="#")), [(False,)]),
        (sa.select(sa.literal("a") + sa.literal("b")), [("ab",)]),
        (sa.select(sa.literal(3) / sa.literal(2)), [(1.5,)]),
        (sa.select(orders.c.order_id).order_by(orders.c.order_id).fetch(1), [(1,)]),
        (
            sa.select(
                sa.func.sum(orders.c.order_id).over(order_by=orders.c.order_id, rows=(-1, 0))
            ).order_by(orders.c.order_id),
            [(1,), (3,), (5,)],
        ),
        (
            sa.select(sa.cast("2 days", sa.Interval), sa.literal(dt.datetime(9999, 12, 31))),
            [(dt.timedelta(2), dt.datetime(9999, 12, 31))],
        ),
        (sa.select(orders.c.order_id % 2).where(orders.c.order_id == 3), [(1,)]),
        (sa.select(sa.cast(orders.c.revenue, sa.Float)).limit(1), [(10.5,)]),
        (sa.select(sa.literal("a'b%c").label("End")), [("a'b%c",)]),
        (
            sa.select(orders.c.order_id).union(sa.select(sa.literal(9))).order_by("order_id"),
            [(1,), (2,), (3,), (9,)],
        ),
        (sa.select(sa.func.count(orders.c.state.distinct())), [(3,)]),
        (
            sa.select(sa.extract("year", orders.c.ordered_at)).where(orders.c.order_id == 1),
            [(1970,)],
        ),
    ]
    with engine.connect() as connection:
        for statement, expected in cases:
            assert [tuple(row) for row in connection.execute(statement)] == expected, statement


def test_literals_are_written_for_datafusion(engine: sa.Engine) -> None:
    day = dt.datetime(2024, 1, 31, 12, 0, 0, 5)
    statement = sa.select(
        sa.literal(day), sa.literal(day.date()), sa.literal("a'b"), sa.literal(day - day)
    )
    sql = str(statement.compile(engine, compile_kwargs={"literal_binds": True}))
    assert "?" not in sql
    with engine.connect() as connection:
        row = connection.exec_driver_sql(sql).one()
    assert tuple(row) == (day, day.date(), "a'b", dt.timedelta(0))


def test_what_datafusion_cannot_say(engine: sa.Engine, orders: sa.Table) -> None:
    for statement in (
        sa.select(orders).order_by(orders.c.order_id).fetch(1, with_ties=True),
        sa.select(orders).where(orders.c.state.like("a", escape="##")),
        sa.select(orders).where(orders.c.state.regexp_match("a", flags="m")),
    ):
        with pytest.raises(sa.exc.CompileError):
            statement.compile(engine)


def test_writing_is_refused_before_it_is_sent(engine: sa.Engine, service: ToyService) -> None:
    table = sa.Table("new", sa.MetaData(), sa.Column("a", sa.Integer))
    before = len(service.requests)
    with pytest.raises(sa.exc.CompileError, match="read-only"):
        table.create(engine, checkfirst=False)
    assert len(service.requests) == before


def test_statement_cache_is_used(engine: sa.Engine, orders: sa.Table) -> None:
    with engine.connect() as connection:
        for state in ("SP", "RJ"):
            statement = sa.select(orders.c.order_id).where(orders.c.state == state)
            result = connection.execute(statement)
            result.all()
        assert result.context.cache_hit.name == "CACHE_HIT"  # type: ignore[attr-defined]


def test_errors_are_sqlalchemys_and_keep_ours(engine: sa.Engine) -> None:
    with engine.connect() as connection, pytest.raises(sa.exc.ProgrammingError) as caught:
        connection.execute(sa.text("select * from gold_commerce.nothing"))
    assert isinstance(caught.value.orig, lavra_driver.ProgrammingError)
    assert caught.value.orig.code == "unknown_table"
