"""Import, drift and prune against the real Superset, as one story: each step is a process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lavra.dashboards import drift, superset
from lavra.dashboards.client import SupersetClient
from lavra.dashboards.identity import PRODUCTION
from lavra.errors import DashboardError
from tests.lavra.dashboards.conftest import RunningSuperset

SPARE = """
title: A spare chart
type: kpi
dataset: fct_orders
metrics: [order_count]
"""
SPARE_FILE = "superset/assets/charts/spare.yaml"


def _import(running: RunningSuperset) -> superset.Outcome:
    return superset.bootstrap(
        running.settings, running.environment, running.lake.catalog, force_import=True
    )


def _changes(running: RunningSuperset) -> list[drift.Change]:
    return drift.changes(
        drift.read_state(running.settings, running.environment, running.lake.catalog)
    )


def _titles(client: SupersetClient) -> dict[str, dict[str, Any]]:
    charts = client.get("/api/v1/chart/", q="(page_size:100)")["result"]
    return {chart["slice_name"]: chart for chart in charts}


@pytest.fixture
def spare(running_superset: RunningSuperset) -> Iterator[None]:
    """One more chart in git."""
    file = running_superset.settings.project / SPARE_FILE
    file.write_text(SPARE)
    yield
    file.unlink(missing_ok=True)


@pytest.mark.usefixtures("spare")
def test_edits_are_named_and_restored_and_what_git_drops_is_pruned(
    running_superset: RunningSuperset,
) -> None:
    running = running_superset
    assert _import(running).pruned == []
    assert _changes(running) == []
    with running.client() as client:
        chart = client.charts_of("commerce")[1]
        title = chart["slice_name"]
        params = json.loads(client.get(f"/api/v1/chart/{chart['id']}")["result"]["params"])
        body = {"slice_name": "Renamed", "params": json.dumps(params | {"row_limit": 7})}
        client.put(f"/api/v1/chart/{chart['id']}", body)
        own = client.post(
            "/api/v1/chart/",
            {
                "slice_name": "Somebody's own",
                "viz_type": "table",
                "datasource_id": _titles(client)["A spare chart"]["datasource_id"],
                "datasource_type": "table",
                "params": "{}",
            },
        )["id"]

        _refuse_a_broken_bundle(running)
        found = {(c.kind, c.title, c.field): c.now for c in _changes(running)}
        assert found == {
            ("chart", title, "title"): "Renamed",
            ("chart", title, "params.row_limit"): "7",
        }

        (running.settings.project / SPARE_FILE).unlink()
        pruned = _import(running).pruned
        assert len(pruned) == 1
        assert "spare" in pruned[0]
        assert _changes(running) == []
        titles = _titles(client)
        assert title in titles
        assert not {"A spare chart", "Renamed"} & set(titles)
        assert titles["Somebody's own"]["id"] == own
        client.delete(f"/api/v1/chart/{own}")


def _refuse_a_broken_bundle(running: RunningSuperset) -> None:
    """What Superset itself refuses is named with file and field, and changes nothing."""
    gold = superset.read_gold(running.settings, running.lake.catalog)
    bundle, owned, _ = superset.compile_bundle(running.settings, gold)
    name = "charts/commerce_orders.yaml"
    broken = {**bundle, name: bundle[name].replace("slice_name:", "slice_nam:")}
    task = superset.base_task(running.settings, running.environment, PRODUCTION)
    task |= {"files": broken, "owned": owned}
    task["digests"]["assets"] = "another"
    with pytest.raises(DashboardError, match=rf"{name}: .*slice_nam"):
        superset.run_task(
            running.settings, running.environment, "bootstrap.py", task,
            catalog=running.lake.catalog,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (SPARE_FILE, "order_count", "no_such_metric", "metrics: there is no metric no_such_metric"),
        (
            "superset/assets/dashboards/commerce.yaml", "commerce_buyers", "no_such_chart",
            "rows.0.charts: there is no chart no_such_chart",
        ),
        (
            "superset/assets/charts/commerce/commerce_revenue_by_state.yaml",
            "x: state", "x: renamed", "x: there is no column renamed in gold_commerce.fct_orders",
        ),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("spare")
def test_a_broken_reference_is_refused_before_superset_hears_of_it(
    running_superset: RunningSuperset, file: str, old: str, new: str, expected: str
) -> None:
    path = running_superset.settings.project / file
    kept = path.read_text()
    path.write_text(kept.replace(old, new))
    try:
        with pytest.raises(DashboardError) as caught:
            _import(running_superset)
        assert f"{file}: {expected}" in caught.value.message
    finally:
        path.write_text(kept)
