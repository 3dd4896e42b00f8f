"""Import, drift and prune against the real Superset."""

from __future__ import annotations

import json

import pytest

from lavra.dashboards import drift, superset
from lavra.errors import DashboardError
from tests.lavra.dashboards.conftest import RunningSuperset

SPARE = """
title: A spare chart
type: kpi
dataset: fct_orders
metrics: [order_count]
"""


def _import(running: RunningSuperset) -> superset.Outcome:
    return superset.bootstrap(
        running.settings, running.environment, running.lake.catalog, force_import=True
    )


def _changes(running: RunningSuperset) -> list[drift.Change]:
    return drift.changes(
        drift.read_state(running.settings, running.environment, running.lake.catalog)
    )


def test_drift_names_an_edit_and_import_restores_it(running_superset: RunningSuperset) -> None:
    _import(running_superset)
    assert _changes(running_superset) == []
    with running_superset.client() as client:
        chart = client.charts_of("commerce")[0]
        params = json.loads(client.get(f"/api/v1/chart/{chart['id']}")["result"]["params"])
        params["row_limit"] = 7
        title = chart["slice_name"]
        body = {"slice_name": "Renamed", "params": json.dumps(params)}
        client.put(f"/api/v1/chart/{chart['id']}", body)
        found = {(c.kind, c.title, c.field): c.now for c in _changes(running_superset)}
        assert found["chart", title, "title"] == "Renamed"
        assert found["chart", title, "params.row_limit"] == "7"
        _import(running_superset)
        assert _changes(running_superset) == []
        assert title in {item["slice_name"] for item in client.charts_of("commerce")}


def test_what_git_no_longer_has_is_pruned_and_nothing_else(
    running_superset: RunningSuperset,
) -> None:
    file = running_superset.settings.project / "superset/assets/charts/spare.yaml"
    file.write_text(SPARE)
    _import(running_superset)
    with running_superset.client() as client:
        charts = client.get("/api/v1/chart/", q="(page_size:100)")["result"]
        spare = next(item for item in charts if item["slice_name"] == "A spare chart")
        body = {
            "slice_name": "Somebody's own",
            "viz_type": "table",
            "datasource_id": spare["datasource_id"],
            "datasource_type": "table",
            "params": "{}",
        }
        own = client.post("/api/v1/chart/", body)["id"]
        file.unlink()
        outcome = _import(running_superset)
        assert [name for name in outcome.pruned if "spare" in name]
        assert len(outcome.pruned) == 1
        charts = client.get("/api/v1/chart/", q="(page_size:100)")["result"]
        titles = {item["slice_name"] for item in charts}
        assert "A spare chart" not in titles
        assert own in {item["id"] for item in charts}


def test_a_refused_bundle_names_file_and_field_and_changes_nothing(
    running_superset: RunningSuperset,
) -> None:
    running = running_superset
    gold = superset.read_gold(running.settings, running.lake.catalog)
    bundle, owned = superset.compile_bundle(running.settings, gold)
    broken = dict(bundle)
    name = "charts/commerce_orders.yaml"
    broken[name] = broken[name].replace("slice_name:", "slice_nam:")
    credentials = superset.admin_credentials(running.settings)
    task = {
        "admin": {"username": credentials.username, "password": credentials.password, "email": "a"},
        "digests": dict.fromkeys(("migrate", "roles", "admin", "assets"), "x"),
        "force": [],
        "files": broken,
        "owned": owned,
    }
    before = _import(running)
    with pytest.raises(DashboardError, match=rf"{name}: .*slice_nam"):
        superset.run_task(
            running.settings, running.environment, "bootstrap.py", task,
            catalog=running.lake.catalog,
        )  # fmt: skip
    _import(running)
    assert before.pruned == []
    assert _changes(running) == []


def test_a_wrong_dashboard_is_refused_before_superset_hears_of_it(
    running_superset: RunningSuperset,
) -> None:
    file = running_superset.settings.project / "superset/assets/charts/spare.yaml"
    file.write_text(SPARE.replace("order_count", "no_such_metric"))
    try:
        with pytest.raises(DashboardError, match=r"spare\.yaml: metrics: there is no metric no_"):
            _import(running_superset)
    finally:
        file.unlink()
