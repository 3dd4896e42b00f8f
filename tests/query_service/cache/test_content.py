"""A table replaced by the same rows keeps its segments; one that differs anywhere does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from query_service.cache import table_loader
from query_service.cache.loader import LoadReport
from query_service.cache.segments import linked
from tests.query_service.cache.test_refresh import load, rows, truth
from tests.query_service.conftest import Lake, close_lake, make_lake, query, serving

ROWS = (
    "select range as id, 'n' || range as name, range % 7 as f, (range / 3)::double as v, "
    "date '2026-01-01' + (range % 50)::int as day from range(10000)"
)
NAME = [("gold_test", "c")]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    made = make_lake(tmp_path_factory.mktemp("content") / "lake")
    yield made
    close_lake(made)


def replace_by(lake: Lake, sql: str) -> None:
    lake.duck.execute(f"create or replace table lake.gold_test.c as {sql}")


def refresh(lake: Lake, folder: Path, before: LoadReport) -> LoadReport:
    report = load(lake, folder, lake.release(tables=NAME), before.cached)
    assert rows(report, "gold_test.c") == truth(lake, lake.snapshot(), "lake.gold_test.c")
    return report


@pytest.mark.parametrize("held_rows", [10**9, 10])
def test_the_same_rows_keep_their_segments(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held_rows: int
) -> None:
    monkeypatch.setattr(table_loader, "RUN_ROWS", held_rows)
    replace_by(lake, ROWS)
    first = load(lake, tmp_path, lake.release(tables=NAME))
    replace_by(lake, f"{ROWS} order by hash(id)")
    second = refresh(lake, tmp_path, first)
    assert (second.segments_written, second.segments_recognized) == (0, 1)
    assert second.cached[0].segments == first.cached[0].segments
    # What is on disk is enough after a restart.
    again = load(lake, tmp_path, lake.release(tables=NAME))
    assert (again.segments_reused, again.bytes_read) == (1, 0)
    assert again.cached[0].segments == first.cached[0].segments


@pytest.mark.parametrize(
    "change",
    [
        "select * replace (case when id = 77 then name || ' ' else name end as name) from rows",
        "select * replace (case when id = 77 then null else f end as f) from rows",
        "select * replace (case when id = 0 then '-0.0'::double else v end as v) from rows",
        "select * replace (case when id < 2 then 1 - id else id end as id) from rows",
        "(from rows where id <> 5) union all by name (from rows where id = 6)",
    ],
)
def test_any_other_row_is_seen(lake: Lake, tmp_path: Path, change: str) -> None:
    replace_by(lake, ROWS)
    first = load(lake, tmp_path, lake.release(tables=NAME))
    replace_by(lake, f"with rows as ({ROWS}) {change}")
    second = refresh(lake, tmp_path, first)
    assert (second.segments_written, second.segments_recognized) == (1, 0)


def test_a_link_whose_segment_is_gone_is_written_again(lake: Lake, tmp_path: Path) -> None:
    replace_by(lake, ROWS)
    first = load(lake, tmp_path, lake.release(tables=NAME))
    replace_by(lake, ROWS)
    refresh(lake, tmp_path, first)
    Path(first.cached[0].segments[0]).unlink()
    (link,) = tmp_path.glob("segments/*/*.seg")
    assert linked(link) != link
    again = load(lake, tmp_path, lake.release(tables=NAME))
    assert again.segments_written == 1
    assert linked(link) == link
    assert rows(again, "gold_test.c") == truth(lake, lake.snapshot(), "lake.gold_test.c")


def test_a_service_and_its_restart_keep_what_came_again(tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake")
    try:
        replace_by(lake, ROWS)
        lake.release(tables=NAME)
        sql = "select count(*), sum(id) from gold_test.c where day < date '2026-01-03'"
        folder = lake.settings.state / "service" / "cache" / "segments"
        with serving(lake.settings) as client:
            first = query(client, sql)["rows"]
            (segment,) = folder.glob("*/*.seg")
            for _ in range(7):  # more than are retained
                replace_by(lake, f"{ROWS} order by hash(id)")
                lake.release(tables=NAME)
                client.post("/v1/refresh")
                assert query(client, sql)["rows"] == first
            assert [p for p in folder.glob("*/*.seg") if not p.is_symlink()] == [segment]
        written = segment.stat().st_mtime_ns
        with serving(lake.settings) as client:
            assert query(client, sql)["rows"] == first
        assert segment.stat().st_mtime_ns == written
        assert [p for p in folder.glob("*/*.seg") if not p.is_symlink()] == [segment]
    finally:
        close_lake(lake)
