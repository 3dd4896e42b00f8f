"""The benchmark of HTTP's overhead runs."""

from __future__ import annotations

import pytest

from benchmarks import query_overhead


@pytest.mark.soak
def test_it_measures_every_query() -> None:
    ratios = query_overhead.main(["--rows", "1000", "--repeat", "3"])
    assert [ratio.unit for ratio in ratios] == ["ms"] * len(query_overhead.QUERIES)
