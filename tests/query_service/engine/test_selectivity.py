"""What filters keep is guessed for each statement that joins, and the smaller side is built."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from datafusion import RuntimeEnvBuilder

from query_service.cache.release_file import CachedTable, write_release_file
from query_service.cache.segments import servable_schema, write_segment
from query_service.engine.selectivity import share_kept
from query_service.engine.session import ReleaseSession

FACTS, CUSTOMERS = 40_000, 2_000
DAY = dt.date(2026, 1, 1)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> ReleaseSession:
    folder = tmp_path_factory.mktemp("selectivity")
    facts = pa.table(
        {
            "customer": [i % CUSTOMERS for i in range(FACTS)],
            "day": [DAY + dt.timedelta(days=i // 400) for i in range(FACTS)],
            "status": ["closed" if i % 50 else "open" for i in range(FACTS)],
            "amount": range(FACTS),
        }
    )
    customers = pa.table({"id": range(CUSTOMERS), "name": [f"c{i}" for i in range(CUSTOMERS)]})
    nothing = facts.schema.empty_table()
    held = []
    for name, rows in (("facts", facts), ("customers", customers), ("nothing", nothing)):
        schema = servable_schema(rows.schema)
        path = folder / f"{name}.seg"
        write_segment(path, schema, rows.cast(schema).to_batches(1_000))
        size = path.stat().st_size
        held.append(CachedTable("gold", name, schema, (str(path),), size, rows.num_rows))
    write_release_file(folder / "release.json", held)
    return ReleaseSession(folder / "release.json", RuntimeEnvBuilder(), 2)


JOIN = "select count(*) from gold.facts f join gold.customers c on f.customer = c.id "


@pytest.mark.parametrize(
    ("sql", "share"),
    [
        ("select count(*) from gold.facts where status = 'open'", None),
        (JOIN + "where f.status <> 'open'", 60),
        (JOIN + "where f.status is not null", 60),
        (JOIN + "where f.status not in ('open', 'new')", 60),
        (JOIN + "where f.status = 'open'", 5),
        (JOIN + "where f.status in ('open', 'new', 'odd')", 5),
        (JOIN + "where f.status like 'o%e%n'", 5),
        (JOIN + "where not (f.status like 'o%e%n')", 60),
        (JOIN + "where f.status = 'open' and c.name = 'c1'", 5),
        (JOIN + "where f.status = 'open' and f.amount + 1 < 7", 1),
        (JOIN + "where f.day >= date '2026-01-11'", 60),
        (JOIN + "where date '2026-04-08' <= f.day", 1),
        (JOIN + "where f.day < date '2026-01-30'", 20),
        (JOIN + "where f.day > date '2030-01-01'", 1),
        (JOIN + "where f.day < f.day + interval '1 day'", 20),
        (JOIN + "where c.name = 'c1' or c.name like 'c%1%'", 5),
        (JOIN.replace("facts", "nothing") + "where f.day > date '2026-01-01'", 20),
        (
            JOIN + "where f.customer in "
            "(select customer from gold.facts group by 1 having sum(amount) > 5)",
            1,
        ),
    ],
)
def test_the_share_that_filters_keep(
    session: ReleaseSession, sql: str, share: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    guesses: list[int | None] = []

    def noted(*given: Any) -> int | None:
        guesses.append(share_kept(*given))
        return guesses[-1]

    monkeypatch.setattr("query_service.engine.session.share_kept", noted)
    frame = session.plan(sql, {}).frame
    assert guesses == [share]
    frame.collect()


def _built(session: ReleaseSession, sql: str) -> str:
    """Return what the physical plan says of the side that a join builds."""
    plan = session.plan(sql, {}).frame.execution_plan().display_indent()
    lines = plan[plan.index("HashJoinExec") :].splitlines()
    second = next(i for i, line in enumerate(lines[2:], 2) if _depth(line) == _depth(lines[1]))
    return "\n".join(lines[1:second])


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())


def test_a_filter_that_keeps_nearly_all_does_not_make_the_facts_the_built_side(
    session: ReleaseSession,
) -> None:
    assert "status" not in _built(session, JOIN + "where f.status <> 'open'")
    assert "day" not in _built(session, JOIN + "where f.day > date '2026-01-03'")
    assert "day" in _built(session, JOIN + "where f.day > date '2026-04-10'")
