"""Superset keeps tiles by release and by user: one is taken again until the next release."""

from __future__ import annotations

from typing import Any

from lavra.dashboards.client import SupersetClient
from lavra.dashboards.superset import Credentials
from query_service.result_cache import VOLATILE
from tests.lavra.dashboards.conftest import GOLD, REPOSITORY, UI_TABLE, RunningSuperset, note_audits
from tests.query_service.conftest import wait_until

BO = Credentials("bo", "a-person-of-this-test")


def _add_person(client: SupersetClient) -> None:
    roles = client.get("/api/v1/security/roles/", q="(page_size:100)")["result"]
    viewer = next(role["id"] for role in roles if role["name"] == "Viewer")
    person = {
        "username": BO.username, "password": BO.password, "first_name": "Bo", "last_name": "Li",
        "email": "bo@example.com", "active": True, "roles": [viewer],
    }  # fmt: skip
    client.post("/api/v1/security/users/", person)


def _ask(client: SupersetClient, query: dict[str, Any]) -> dict[str, Any]:
    """Ask for a tile as a dashboard does, kept or not."""
    result: dict[str, Any] = client.post("/api/v1/chart/data", query)["result"][0]
    assert result["status"] == "success", result
    return result


def _query(client: SupersetClient, where: str, period: str = "No filter") -> dict[str, Any]:
    """A tile of its own for each ``where``: orders of each status."""
    datasets = client.get("/api/v1/dataset/", q="(page_size:100)")["result"]
    table = next(item["id"] for item in datasets if item["table_name"] == "fct_orders")
    asked = {
        "columns": ["status"], "metrics": ["order_count"], "row_limit": 100,
        "filters": [{"col": "order_date", "op": "TEMPORAL_RANGE", "val": period}],
        "extras": {"where": f"({where})", "having": ""},
    }  # fmt: skip
    return {
        "datasource": {"id": table, "type": "table"}, "queries": [asked],
        "result_format": "json", "result_type": "full",
    }  # fmt: skip


def _total(tile: dict[str, Any]) -> int:
    return sum(row["order_count"] for row in tile["data"])


def test_a_tile_is_kept_until_the_next_release_and_for_one_person(
    running_superset: RunningSuperset,
) -> None:
    running, lake = running_superset, running_superset.lake
    with running.client() as client:
        _add_person(client)
        asked = _query(client, "order_id < 100 or order_id >= 1000000")
        assert not _ask(client, asked)["is_cached"]
        kept = _ask(client, asked)
        assert kept["is_cached"]

        # Another person's tile is asked for anew, and then kept for that person.
        with SupersetClient(running.url, BO) as other:
            assert not _ask(other, asked)["is_cached"]
            assert _ask(other, asked)["is_cached"]

        # As soon as the service has the next release, no tile is older.
        lake.duck.execute(
            "insert into lake.gold_commerce.fct_orders "
            "select * replace (1000000 as order_id) from lake.gold_commerce.fct_orders limit 1"
        )
        tables = [*(("gold_commerce", name) for name in GOLD), ("gold_test", UI_TABLE)]
        release = lake.release(tables=tables)
        note_audits(lake, release)
        wait_until(lambda: running.released() == str(release), timeout_s=120)
        fresh = _ask(client, asked)
        assert not fresh["is_cached"]
        assert _total(fresh) == _total(kept) + 1
        assert _ask(client, asked)["is_cached"]


def test_what_may_change_without_a_release_is_not_kept(running_superset: RunningSuperset) -> None:
    with running_superset.client() as client:
        for where in ("order_date < current_date", "order_id > 5 and random() >= 0"):
            asked = _query(client, where)
            _ask(client, asked)
            assert not _ask(client, asked)["is_cached"], where
        # Words about time are kept for what they mean now: the day, or this very second.
        asked = _query(client, "order_id > 6", "Last quarter")
        _ask(client, asked)
        assert _ask(client, asked)["is_cached"]
        asked = _query(client, "order_id > 7", "DATEADD(DATETIME('now'), -3, year) : now")
        first = _ask(client, asked)
        second = _ask(client, asked)
        assert not second["is_cached"] or second["query"] == first["query"]


def test_the_caches_know_the_same_volatile_functions() -> None:
    source = (
        REPOSITORY / "query_service/driver/lavra_driver/superset/release_cache.py"
    ).read_text()
    # The other two are of files, which no query of the service reads by name.
    missing = [name for name in VOLATILE if name not in source]
    assert missing == ["file_row_index", "input_file_name"]
