"""One row, followed from the source database to a tile on a dashboard."""

from __future__ import annotations

import json
import time

import pytest

from lavra.dashboards.superset import admin_credentials
from lavra.settings import load_settings
from tests.browser import keep, open_browser, open_dashboard
from tests.end_to_end.conftest import RunningLake, Superset
from tests.sqlmesh_project.late_changes import (
    LateChanges,
    assert_gold_is_right,
    newest_snapshot,
    orders_written_since,
)

pytestmark = pytest.mark.timeout(1200)

NET_REVENUE = "select cast(sum(net_revenue) as varchar) from gold_commerce.fct_orders"


def answer_after(lake: RunningLake, sql: str, snapshot: str) -> dict:
    """Ask until the service has moved past ``snapshot``: it follows releases within 2 s."""
    deadline = time.monotonic() + 60
    while (answer := lake.query(sql))["snapshot"]["id"] == snapshot:
        assert time.monotonic() < deadline, "the service did not follow the release"
        time.sleep(0.1)
    return answer


def test_every_tile_holds_data(superset: Superset) -> None:
    charts = superset.charts()
    assert len(charts) >= 8
    empty = [name for name, number in charts.items() if not superset.rows(number)]
    assert empty == []


def test_a_row_goes_from_the_source_to_the_tile(
    running_lake: RunningLake, superset: Superset
) -> None:
    with running_lake.source() as shop:
        order, state = shop.execute(
            "select order_id, ship_to_state from orders "
            "where status = 'delivered' and ship_to_state ~ '^[A-Z]{2}$' order by 1 desc limit 1"
        ).fetchone()
        before = running_lake.query(
            f"select order_id, status, state from gold_commerce.fct_orders where order_id = {order}"
        )
        assert before["rows"] == [[order, "delivered", state]]
        tile = superset.charts()["Orders by status"]
        cancelled = sum(r["order_count"] for r in superset.rows(tile) if r["status"] == "cancelled")
        late = LateChanges(running_lake.lake)
        shop.execute("update orders set status = 'cancelled' where order_id = %s", (order,))
        for statement in late.statements:
            shop.execute(statement)

    gold = newest_snapshot(running_lake.lake)
    running_lake.command("lavra", "ingest", "run", "shop")
    done = running_lake.sqlmesh("run")
    assert "elease" in done.stdout

    after = answer_after(
        running_lake,
        f"select status from gold_commerce.fct_orders where order_id = {order}",
        before["snapshot"]["id"],
    )
    assert after["rows"] == [["cancelled"]]
    shown = sum(r["order_count"] for r in superset.rows(tile) if r["status"] == "cancelled")
    assert shown == cancelled + 2  # one of the late changes is another

    late.check(running_lake.lake)
    assert_gold_is_right(running_lake.lake, running_lake.independent_shop())
    with running_lake.catalog() as catalog:
        written = orders_written_since(running_lake.lake, catalog, gold)
    assert written
    assert written <= late.orders | {order}


@pytest.mark.soak
def test_a_run_without_news_releases_nothing(running_lake: RunningLake) -> None:
    before = running_lake.query(NET_REVENUE)
    running_lake.command("lavra", "ingest", "run", "--all")
    running_lake.sqlmesh("run")
    after = running_lake.query(NET_REVENUE)
    assert after["snapshot"]["id"] == before["snapshot"]["id"]


def test_status_and_sql_answer(running_lake: RunningLake) -> None:
    status = json.loads(running_lake.command("lavra", "status", "--json").stdout)
    assert status
    printed = running_lake.command(
        "lavra", "sql", "select count(*) as n from gold_commerce.fct_orders"
    )
    assert "n" in printed.stdout


def test_a_second_up_says_that_one_runs(running_lake: RunningLake) -> None:
    second = running_lake.command("lavra", "up", "--detach", check=False)
    assert second.returncode != 0
    assert str(running_lake.service_port) in second.stdout + second.stderr


def test_the_password_is_in_no_log(running_lake: RunningLake, superset: Superset) -> None:
    assert superset.charts()
    settings = load_settings(running_lake.root)
    password = admin_credentials(settings).password
    logs = [p for p in (settings.state / "logs").rglob("*") if p.is_file()]
    assert logs
    assert [p for p in logs if password in p.read_text(errors="replace")] == []


@pytest.mark.soak  # make test does the same on tests/lavra/dashboards' own lake
@pytest.mark.browser
def test_a_person_sees_the_shop_in_a_browser(running_lake: RunningLake, superset: Superset) -> None:
    url = f"http://127.0.0.1:{running_lake.superset_port}"
    admin = admin_credentials(load_settings(running_lake.root))
    charts = len(superset.charts())
    with open_browser() as page:
        answers = open_dashboard(page, url, "commerce", charts, login=(*admin,))
        keep(page, "shop_from_its_source")
    assert len(answers.answers) >= charts
    assert answers.without_rows == []
