"""The benchmarks of refreshes and of cold tables run."""

from __future__ import annotations

import pytest

from benchmarks import cold_tables, refresh


def test_refreshes_and_pruning_are_measured() -> None:
    ratios = refresh.main(["--rows", "20000", "--repeat", "1"])
    assert len({ratio.name for ratio in ratios}) == len(ratios) == 6


@pytest.mark.soak
def test_cold_tables_are_measured() -> None:
    ratios = cold_tables.main(["--scale", "0.002", "--repeat", "1"])
    assert [ratio.reference_name for ratio in ratios] == ["DuckDB", "DataFusion"]
    assert all("of 22" in ratio.note for ratio in ratios)
