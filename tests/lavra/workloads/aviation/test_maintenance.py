"""The airline's maintenance database: its history, and what happens later."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from lavra.errors import ConfigurationError
from lavra.settings import load_settings
from lavra.workloads.aviation.history import make_history
from lavra.workloads.aviation.reference import MEL_DAYS, read_registry
from lavra.workloads.aviation.source import AviationSource, ensure_source, generate, leave

END = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def aviation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AviationSource]:
    project = tmp_path_factory.mktemp("aviation")
    (project / "lavra.toml").write_text('name = "fleet"\n', encoding="utf-8")
    settings = load_settings(project, workload_scale=0.05)
    yield ensure_source(settings, end=END)
    leave(settings)


def rows(source: AviationSource, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(source.url) as connection:
        return connection.execute(statement.encode()).fetchall()


def test_history_is_the_same_for_the_same_seed() -> None:
    first, second, other = (
        make_history(seed=seed, scale=0.04, end=END, days=30) for seed in (1, 1, 2)
    )
    assert first == second
    assert first != other
    events = first["maintenance_events"]
    assert END - dt.timedelta(days=30) <= min(row["occurred_at"] for row in events)
    assert max(row["occurred_at"] for row in events) <= END


def test_the_books_agree(aviation: AviationSource) -> None:
    """What the rows say of each other, in a history with checks, replacements and deferrals."""
    assert {kind for (kind,) in rows(aviation, "select distinct kind from maintenance_events")} == {
        "defect", "inspection", "rectification", "replacement", "deferral",
    }  # fmt: skip
    contradictions = {
        "a closed order without its end": "select count(*) from work_orders "
        "where (status = 'closed') <> (closed_at is not null)",
        "an open deferral whose order is not deferred": "select count(*) from deferrals d "
        "join work_orders w using (work_order_id) where d.rectified_at is null "
        "and w.status <> 'deferred'",
        "a removed component without hours": "select count(*) from components where "
        "(removed_at is null) <> (removed_hours is null) or removed_hours < installed_hours",
        "more or fewer components fitted than chapters": "select count(*) from (select aircraft_id "
        "from components where removed_at is null group by 1 having count(*) <> 13) x",
        "an aircraft past its check": "select count(*) from aircraft where status = 'active' "
        "and flight_hours >= least(a_check_due, b_check_due, c_check_due, d_check_due)",
        "an event of another aircraft": "select count(*) from maintenance_events e "
        "join work_orders w using (work_order_id) where e.aircraft_id <> w.aircraft_id",
    }
    found = {what: rows(aviation, statement)[0][0] for what, statement in contradictions.items()}
    assert found == dict.fromkeys(contradictions, 0)
    for category, days in MEL_DAYS.items():
        late = f"select count(*) from deferrals where mel_category = '{category}' and "
        late += f"rectify_by - deferred_at not between '{days} days' and '{days + 1} days'"
        assert rows(aviation, late) == [(0,)]


def test_generated_events_insert_update_and_delete(aviation: AviationSource) -> None:
    before = rows(aviation, "select count(*), max(event_id) from maintenance_events")[0]
    counts = generate(aviation.url, 1500, seed=3, at=END + dt.timedelta(hours=1))
    after = rows(aviation, "select count(*), max(event_id) from maintenance_events")[0]
    inserted = counts["inserted"]["maintenance_events"]
    deleted = counts["deleted"]["maintenance_events"]
    assert 1500 <= inserted <= 1501
    assert deleted > 0
    assert after[0] == before[0] + inserted - deleted  # type: ignore[operator]
    assert {"aircraft", "work_orders", "maintenance_events", "deferrals"} <= set(counts["updated"])
    late = "select count(*) from aircraft where updated_at > (select min(updated_at) from aircraft)"
    assert rows(aviation, late) != [(0,)]


def test_it_is_filled_once(tmp_path: Path) -> None:
    (tmp_path / "lavra.toml").write_text('name = "fleet"\n', encoding="utf-8")
    settings = load_settings(tmp_path, workload_scale=0.04)
    try:
        source = ensure_source(settings)
        generate(source.url, 5)
        count = rows(source, "select count(*) from maintenance_events")
        ensure_source(settings)
        assert rows(source, "select count(*) from maintenance_events") == count
        assert rows(source, "show wal_level") == [("logical",)]
    finally:
        leave(settings)


def registry(folder: Path, planes: str, airports: str) -> Path:
    (folder / "planes.csv").write_text(planes, encoding="utf-8")
    (folder / "airports.csv").write_text(airports, encoding="utf-8")
    return folder


AIRPORTS = "faa,name,lat,lon,alt,tz,dst,tzone\nBOS,Logan,42.36,-71.0,19,-5,A,America/New_York\n"


def test_a_real_registry(tmp_path: Path) -> None:
    planes = "tailnum,year,manufacturer,model\nN1,1998,AIRBUS INDUSTRIE,A320\nN2,NA,BOEING,737\n"
    fleet, stations = read_registry(registry(tmp_path, planes, AIRPORTS))
    tables = make_history(seed=1, scale=1, end=END, days=5, fleet=fleet, stations=stations)
    assert [row["tail_number"] for row in tables["aircraft"]] == ["N1", "N2"]
    assert [row["year_built"] for row in tables["aircraft"]] == [1998, None]
    assert {row["base_station"] for row in tables["aircraft"]} == {"BOS"}
    assert all(row["flight_hours"] > Decimal(0) for row in tables["aircraft"])


@pytest.mark.parametrize(
    ("planes", "airports", "words"),
    [
        ("year,model\n1998,A320\n", AIRPORTS, "cannot be read: KeyError"),
        ("tailnum,year,manufacturer,model\n", AIRPORTS, "no aircraft"),
        ("tailnum,year,manufacturer,model\nN1,1,B,C\n", AIRPORTS.replace("42.36", "x"), "ValueEr"),
    ],
)
def test_a_registry_that_is_none(tmp_path: Path, planes: str, airports: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_registry(registry(tmp_path, planes, airports))
