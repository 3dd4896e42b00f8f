"""Readers while models are rebuilt: each answer is whole and of the one release that it names."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

import pytest

from lavra.settings import load_settings
from lavra.workloads.commerce.source import ensure_source, leave, pass_day
from tests.end_to_end.conftest import RunningLake

pytestmark = pytest.mark.timeout(1200)

CLIENTS = 8
# Facts and the mart made from them: they agree only within one release.
QUERY = """
select (select count(*) from gold_commerce.fct_orders) as orders,
       (select sum(order_count + cancelled_order_count)
          from gold_commerce.daily_revenue) as orders_by_day,
       (select cast(sum(net_revenue) as varchar) from gold_commerce.fct_orders) as revenue,
       (select cast(sum(net_revenue) as varchar) from gold_commerce.daily_revenue) as by_day
"""


def test_no_client_sees_a_half_built_table(running_lake: RunningLake) -> None:
    first = running_lake.query(QUERY)
    seen: dict[str, set[tuple[Any, ...]]] = defaultdict(set)
    failures: list[str] = []
    stop = threading.Event()

    def client() -> None:
        while not stop.is_set():
            try:
                answer = running_lake.query(QUERY)
            except Exception as error:  # noqa: BLE001 - whatever a client would see
                failures.append(repr(error))
                return
            seen[answer["snapshot"]["id"]].add(tuple(answer["rows"][0]))
            stop.wait(0.2)

    settings = load_settings(running_lake.root, workload_scale=0.02)
    pass_day(ensure_source(settings), orders=40)
    leave(settings)
    running_lake.command("lavra", "ingest", "run", "shop")
    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        running_lake.sqlmesh(
            "plan", "--auto-apply", "--no-prompts", "--skip-tests",
            "--restate-model", "bronze_commerce.orders",
        )  # fmt: skip
        running_lake.sqlmesh("run")
        stop.wait(4)
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert failures == []
    assert len(seen) >= 2, "no release was made while the clients asked"
    assert {snapshot: len(answers) for snapshot, answers in seen.items()} == dict.fromkeys(seen, 1)
    for answers in seen.values():
        [(orders, orders_by_day, revenue, by_day)] = answers
        assert orders >= first["rows"][0][0]
        assert orders == orders_by_day
        assert revenue == by_day
