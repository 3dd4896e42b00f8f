"""Batch and live agree: a restatement of the shipped aviation models changes no number.

Asked through the query service, and compared with the source itself; the short form, on small
models, is tests/lavra/modeling/test_stream_points.py.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from lavra.settings import load_settings
from lavra.workloads.aviation.source import ensure_source, generate, leave
from tests.beside import beside
from tests.end_to_end.conftest import RunningLake, copy_declarations
from tests.query_service.conftest import query, serving, wait_until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3000)]

# Each of the service and of the source, as text.
QUERIES = {
    "minutes": (
        ("select cast(event_minute as varchar) as minute, kind, event_count, "
        "cast(man_hours as varchar) as hours from gold_aviation.live_minutes order by 1, 2"),
        ("select to_char(date_trunc('minute', occurred_at at time zone 'UTC'), "
        """'YYYY-MM-DD"T"HH24:MI:SS'), kind, count(*), sum(man_hours)::numeric(18, 2)::text """
        "from maintenance_events group by 1, 2 order by 1, 2"),
    ),
    "work": (
        ("select work_order_id, kind, status, tail_number from gold_aviation.live_open_work "
        "order by 1"),
        ("select work_order_id, kind, o.status, tail_number from work_orders o "
        "join aircraft using (aircraft_id) where o.status <> 'closed' order by 1"),
    ),
    "deferred": (
        ("select deferral_id, work_order_id, mel_category from gold_aviation.live_deferred_defects "
        "order by 1"),
        ("select deferral_id, work_order_id, mel_category from deferrals "
        "where rectified_at is null order by 1"),
    ),
    "fleet": (
        ("select aircraft_id, status, cast(flight_hours as varchar) as flown "
        "from gold_aviation.live_fleet order by 1"),
        "select aircraft_id, status, flight_hours::text from aircraft order by 1",
    ),
}  # fmt: skip

ALONE = "bronze_aviation.maintenance_events"

Answers = dict[str, list[list[Any]]]


class LiveLake:
    """The aviation domain, with its stream followed when the test says so, and a service."""

    def __init__(self, lake: RunningLake, client: httpx.Client, source: str) -> None:
        self.lake, self._client, self._source = lake, client, source

    def land(self) -> None:
        self.lake.command("lavra", "worker", "--only", "streams", "--once")

    def restate(self, *models: str) -> None:
        words = [word for model in models for word in ("--restate-model", model)]
        plan = ("plan", "--auto-apply", "--no-prompts", "--skip-tests", *words)
        if self.lake.sqlmesh(*plan, check=False).returncode:
            # A restated table of Bronze alone is newer than those that it refers to.
            assert models == (ALONE,), self.lake.output[-1]
            self.lake.sqlmesh("run")

    def change(self, seed: int) -> None:
        """Let maintenance go on; record late, correct, move, renumber and withdraw events."""
        generate(self._source, 60, seed=seed)
        with psycopg.connect(self._source) as connection:
            for statement in (
                (
                    "insert into maintenance_events select (row_number() over ()) + newest, "
                    "work_order_id, aircraft_id, station_code, technician_id, component_id, kind, "
                    "ata_chapter, description, man_hours, now() - interval '3 days', now() "
                    "from maintenance_events, (select max(event_id) as newest "
                    "from maintenance_events) as numbers "
                    f"where event_id % 41 = {seed % 41} and kind = 'inspection'"
                ),
                (
                    "update maintenance_events set man_hours = man_hours + 1 "
                    f"where event_id % 7 = {seed % 7}"
                ),
                (
                    "update maintenance_events set occurred_at = occurred_at - interval '40 days' "
                    f"where event_id % 53 = {seed % 53}"
                ),
                f"delete from maintenance_events where event_id % 29 = {seed % 29}",
                (
                    "update maintenance_events set event_id = -event_id "
                    f"where event_id % 97 = {seed % 97} and event_id > 0"
                ),
                (
                    "update work_orders set opened_at = opened_at - interval '1 day' "
                    f"where work_order_id % 13 = {seed % 13}"
                ),
            ):
                connection.execute(statement.encode())

    def shown(self) -> Answers:
        return {name: query(self._client, sql)["rows"] for name, (sql, _) in QUERIES.items()}

    def expected(self) -> Answers:
        with psycopg.connect(self._source) as connection:
            return {
                name: [list(row) for row in connection.execute(sql.encode())]
                for name, (_, sql) in QUERIES.items()
            }

    def shows_the_source(self) -> Answers:
        """Wait until what is shown is what the source holds."""
        expected = self.expected()
        deadline = time.monotonic() + 200
        while (shown := self.shown()) != expected and time.monotonic() < deadline:
            time.sleep(0.2)
        for name, rows in expected.items():
            differing = [row for row in shown[name] if row not in rows]
            assert (name, differing[:5], len(shown[name])) == (name, [], len(rows))
        return expected

    def snapshot(self) -> tuple[int, bool]:
        """The release that is served, and whether something landed since."""
        release, _, commit = self._client.get("/v1/snapshot").json()["id"].partition(".")
        return int(release), bool(commit)

    @contextmanager
    def asked_all_the_time(self) -> Iterator[list[Answers]]:
        """Ask again and again during the block; yields the answers."""
        answers: list[Answers] = []
        with beside(lambda: answers.append(self.shown()), every_s=0.2):
            yield answers


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveLake]:
    root = copy_declarations(tmp_path / "lake", "commerce", "commerce.yaml", "connections")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LAVRA_")}
    chosen: dict[str, Any] = {"domains": ["aviation"], "workload_scale": 0.1}
    environment |= {f"LAVRA_{name.upper()}": json.dumps(value) for name, value in chosen.items()}
    settings = load_settings(root, **chosen)
    lake = RunningLake(root, environment, 0, 0)
    url = ensure_source(settings).url
    try:
        with lake.catalog():
            lake.command("lavra", "worker", "--only", "streams", "--once")
            lake.sqlmesh("plan", "--auto-apply", "--no-prompts", "--skip-tests")
            with serving(settings) as client:
                yield LiveLake(lake, client, url)
    finally:
        lake.client.close()
        leave(settings)


def test_a_restatement_changes_no_number(live: LiveLake) -> None:
    live.shows_the_source()
    first, _ = live.snapshot()
    for seed, models in (
        (1, ["silver_aviation.maintenance_events", "silver_aviation.work_orders"]),
        (2, ["bronze_aviation.*"]),
        (3, [ALONE]),
        (4, ["gold_aviation.settled_minutes"]),
    ):
        live.change(seed)
        live.land()
        before = live.shows_the_source()
        assert live.snapshot()[1], "the changes are in the tail"
        with live.asked_all_the_time() as answers:
            live.restate(*models)
            wait_until(lambda least=first: live.snapshot()[0] > least, timeout_s=300)  # type: ignore[misc]
            answers.append(live.shown())
        first, _ = live.snapshot()
        assert [answer for answer in answers if answer != before] == []

    # The stream goes on while models are restated.
    restating = threading.Thread(target=live.restate, args=("bronze_aviation.*",))
    restating.start()
    live.change(5)
    live.land()
    restating.join()
    live.shows_the_source()
    live.lake.sqlmesh("run")
    live.shows_the_source()
