"""A statement over the batches that it needs answers as one over all of them."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from datafusion import ExecutionPlan, RuntimeEnvBuilder
from hypothesis import example, given, settings
from hypothesis import strategies as st

from query_service.cache.order import in_order
from query_service.cache.release_file import CachedTable, write_release_file
from query_service.cache.segments import open_segment, servable_schema, write_segment
from query_service.engine import session as session_module
from query_service.engine.session import ReleaseSession

ROWS, BATCH = 2_000, 50
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def table() -> pa.Table:
    """Return rows in no order, with nulls, NaN, infinities and values at the edges of types."""
    numbers = [(i * 7919) % ROWS for i in range(ROWS)]
    times = [None if n % 97 == 0 else START + dt.timedelta(hours=n) for n in numbers]
    floats = [float(n) for n in numbers]
    floats[::50] = [math.nan, math.inf, -math.inf, -0.0] * (ROWS // 200)
    plain = [t and t.replace(tzinfo=None) for t in times]
    return pa.table(
        {
            "ts": pa.array(plain, pa.timestamp("us")),
            "tz": pa.array(times, pa.timestamp("us", "UTC")),
            "ns": pa.array(plain, pa.timestamp("ns")),
            "s": pa.array(plain, pa.timestamp("s")),
            "d": pa.array([t and t.date() for t in times], pa.date32()),
            "i": pa.array([None if n % 31 == 0 else n for n in numbers], pa.int64()),
            "small": pa.array([n % 127 for n in numbers], pa.int8()),
            "big": pa.array([2**63 + n for n in numbers], pa.uint64()),
            "dec": pa.array([Decimal(n) / 4 for n in numbers], pa.decimal128(18, 2)),
            "f": pa.array(floats, pa.float64()),
            "name": pa.array([f"n{n:05}" for n in numbers], pa.string()),
            "only": pa.array([None] * ROWS, pa.int32()),
        }
    )


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tables of the same rows, in order of time, each in two segments."""
    folder = tmp_path_factory.mktemp("pruned")
    rows = table()
    schema = servable_schema(rows.schema)
    held = []
    for name in ("t", "u"):
        paths = []
        for part in range(2):
            path = folder / f"{name}{part}.seg"
            half = rows.slice(part * ROWS // 2, ROWS // 2).cast(schema)
            write_segment(path, schema, in_order(iter(half.to_batches(BATCH)), "ts", BATCH))
            paths.append(str(path))
        held.append(CachedTable("gold", name, schema, tuple(paths), 0, ROWS))
    write_release_file(folder / "release.json", held)
    return folder / "release.json"


@pytest.fixture(scope="module")
def sessions(release: Path) -> Iterator[tuple[ReleaseSession, ReleaseSession]]:
    """A session that leaves batches out wherever it can, and one that never does."""
    patch = pytest.MonkeyPatch()
    patch.setattr(session_module, "LEAST_LEFT_OUT", 1)
    pruned = ReleaseSession(release, RuntimeEnvBuilder(), 2)
    whole = ReleaseSession(release, RuntimeEnvBuilder(), 2)
    patch.setattr(whole, "_statistics_of", lambda _: None)
    yield pruned, whole
    patch.undo()


def answer(session: ReleaseSession, sql: str) -> list[str]:
    plan = session.plan(sql, {})
    return sorted(map(str, plan.frame.to_arrow_table().to_pylist()))


def check(sessions: tuple[ReleaseSession, ReleaseSession], sql: str) -> None:
    pruned, whole = sessions
    try:
        expected = answer(whole, sql)
    except Exception:  # noqa: BLE001 - some random comparisons are none of SQL's
        return
    assert answer(pruned, sql) == expected, sql


MOMENTS = st.integers(-50, ROWS + 50).map(
    lambda n: (START + dt.timedelta(hours=n)).replace(tzinfo=None)
)
NUMBERS = st.integers(-2, ROWS + 2)
COMPARISONS = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
VALUES = {
    "ts": MOMENTS.map(lambda t: f"timestamp '{t}'"),
    "tz": st.one_of(
        MOMENTS.map(lambda t: f"'{t}Z'"), MOMENTS.map(lambda t: f"timestamptz '{t}-03:00'")
    ),
    "ns": MOMENTS.map(lambda t: f"timestamp '{t}'"),
    "s": MOMENTS.map(lambda t: f"timestamp '{t}'"),
    "d": MOMENTS.map(lambda t: f"date '{t.date()}'"),
    "cast(ts as date)": MOMENTS.map(lambda t: f"date '{t.date()}'"),
    "date_trunc('day', ts)": MOMENTS.map(lambda t: f"timestamp '{t.date()}'"),
    "i": st.one_of(NUMBERS.map(str), NUMBERS.map(lambda n: f"{n}.5"), st.just("null")),
    "cast(i as double)": NUMBERS.map(lambda n: f"{n}.5"),
    "small": st.integers(-200, 300).map(str),
    "big": NUMBERS.map(lambda n: str(2**63 + n)),
    "dec": NUMBERS.map(lambda n: f"{n / 4}"),
    "f": st.one_of(NUMBERS.map(str), st.sampled_from(["'NaN'::double", "'inf'::double", "-0.0"])),
    "name": NUMBERS.map(lambda n: f"'n{n:05}'"),
    "only": NUMBERS.map(str),
}


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    column = draw(st.sampled_from(sorted(VALUES)))
    values = VALUES[column]
    form = draw(st.integers(0, 5))
    if form == 0:
        low, high = draw(values), draw(values)
        return f"{column} {draw(st.sampled_from(['', 'not ']))}between {low} and {high}"
    if form == 1:
        listed = ", ".join(draw(st.lists(values, min_size=1, max_size=6)))
        return f"{column} {draw(st.sampled_from(['', 'not ']))}in ({listed})"
    if form == 2:
        return f"{column} is {draw(st.sampled_from(['', 'not ']))}null"
    if form == 3:
        return f"{draw(values)} {draw(COMPARISONS)} {column}"
    if form == 4:
        return f"{column} is {draw(st.sampled_from(['', 'not ']))}distinct from {draw(values)}"
    return f"{column} {draw(COMPARISONS)} {draw(values)}"


PREDICATES = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda three: f"({three[0]} {three[1]} {three[2]})"
        ),
        inner.map(lambda one: f"not ({one})"),
        inner.map(lambda one: f"coalesce({one}, true)"),
        inner.map(lambda one: f"case when {one} then true else small > 60 end"),
    ),
    max_leaves=5,
)
SHAPES = [
    "select * from gold.t where {p}",
    "select count(*) as n, sum(i) as total from gold.t where {p}",
    "select a.i, b.small from gold.t a join gold.t b on a.i = b.i where a.small > 3 and b.{q}",
    "select i from gold.t where {p} union all select i from gold.t where {r}",
    (
        "select i from (select *, row_number() over (order by ts, i) as k from gold.t where {p}) x "
        "where k < 50"
    ),
    "select i from gold.t where {p} and i in (select i from gold.u where {r})",
    "select i from gold.t where {p} and i < (select max(i) from gold.t where small < 100)",
    "select t.i, u.d from gold.t left join gold.u on t.i = u.i and u.{q} where t.small < 20",
    (
        "with x as (select * from gold.t where {p}) select a.i from x a where not exists "
        "(select 1 from x b where b.i = a.i + 1)"
    ),
]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(SHAPES), PREDICATES, PREDICATES, MOMENTS)
@example(SHAPES[6], "ts < timestamp '2026-01-03'", "i > 3", START.replace(tzinfo=None))
@example(SHAPES[3], "ts < timestamp '2026-01-03'", "i > 3", START.replace(tzinfo=None))
def test_it_answers_as_over_all_batches(
    sessions: tuple[ReleaseSession, ReleaseSession], shape: str, p: str, r: str, at: dt.datetime
) -> None:
    check(sessions, shape.format(p=p, r=r, q=f"ts >= timestamp '{at}'"))


@pytest.mark.soak
@settings(max_examples=3_000, deadline=None)
@given(st.sampled_from(SHAPES), PREDICATES, PREDICATES, MOMENTS)
def test_it_answers_as_over_all_batches_for_long(
    sessions: tuple[ReleaseSession, ReleaseSession], shape: str, p: str, r: str, at: dt.datetime
) -> None:
    check(sessions, shape.format(p=p, r=r, q=f"ts >= timestamp '{at}'"))


@pytest.mark.parametrize(
    ("predicate", "most"),
    [
        ("ts >= timestamp '2026-02-01' and ts < timestamp '2026-02-02'", 200),
        ("tz < '2026-01-02T00:00:00Z'", 200),
        ("d = date '2026-02-01'", 200),
        ("d in (date '2026-02-01', date '2026-02-02', date '2026-02-03', date '2026-02-05')", 300),
        ("timestamp '2026-01-02' > ts or timestamp '2026-03-20' < ts", 400),
        ("extract(year from d) = 2025", BATCH),
        ("only > 3", BATCH),
        ("small >= 0", ROWS),
        ("name < 'n00003'", ROWS),
    ],
)
def test_what_is_read(
    sessions: tuple[ReleaseSession, ReleaseSession], predicate: str, most: int
) -> None:
    plan = sessions[0].plan(f"select * from gold.t where {predicate}", {}).frame.execution_plan()
    assert rows_scanned(plan) <= most


def rows_scanned(plan: ExecutionPlan) -> int:
    """Return the rows of a scan of memory, by what its display says of its partitions."""
    text = str(plan.display_indent())
    sizes = re.search(r"partition_sizes=\[([\d, ]*)\]", text)
    assert sizes is not None, text
    return sum(int(size) for size in sizes[1].split(",")) * BATCH


def test_a_moving_now_never_loses_rows(release: Path) -> None:
    session = ReleaseSession(release, RuntimeEnvBuilder(), 2)
    sql = "select count(*) as n from gold.t where tz < now() and tz >= now() - interval '1 hour'"
    assert int(answer(session, sql)[0].strip("{}").split(":")[1]) in {0, 1}


def test_statistics_are_those_of_the_rows(release: Path) -> None:
    segment = open_segment(release.parent / "t0.seg")
    assert segment.statistics.batches == len(segment.batches) == ROWS // 2 // BATCH
    assert set(segment.statistics.columns) == {
        "ts", "tz", "s", "d", "i", "small", "big", "dec", "only",
    }  # fmt: skip
    for name, (least, greatest) in segment.statistics.columns.items():
        for batch, low, high in zip(segment.batches, least, greatest, strict=True):
            values = [v for v in batch.column(name).to_pylist() if v is not None]
            assert (low.as_py(), high.as_py()) == (
                (min(values), max(values)) if values else (None, None)
            )
