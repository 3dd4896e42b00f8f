"""The benchmark of the service against other engines runs."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from benchmarks import serving
from benchmarks.data.tpch import DASHBOARD, qualified
from benchmarks.peers.in_process import best_times, datafusion_run, duckdb_run


@pytest.mark.soak
def test_it_measures_against_an_engine_in_process() -> None:
    small = ["--scale", "0.002", "--repeat", "1", "--clients", "--peers", "DuckDB"]
    ratios = serving.main(small)
    assert [(ratio.name, ratio.reference_name) for ratio in ratios] == [
        ("22 TPC-H queries", "DuckDB"),
        ("10 dashboard queries", "DuckDB"),
    ]


def test_engines_answer_alike_and_a_refusal_is_no_time(tmp_path: Path) -> None:
    duckdb.sql(f"copy (select range as id from range(10)) to '{tmp_path}/t.parquet'")
    (tmp_path / "queries.json").write_text(json.dumps({"queries": {}, "repeat": 1}))
    for engine in (duckdb_run, datafusion_run):
        times = best_times(engine(tmp_path), {"good": "select sum(id) from t", "bad": "sel"}, 2)
        assert times["good"] is not None
        assert times["good"] > 0
        assert times["bad"] is None


def test_tables_get_their_schema_and_columns_keep_their_names() -> None:
    sql = qualified("select nation.n_name from nation, (select 1 as nation) as x", "g")
    assert "g.nation AS nation" in sql
    assert "nation.n_name" in sql
    assert all("g.orders" in qualified(q, "g") for q in DASHBOARD.values() if "FROM orders" in q)
