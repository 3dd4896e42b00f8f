"""The benchmark of planning the commerce models runs."""

from __future__ import annotations

import pytest

from benchmarks import plan


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_it_measures_a_plan_against_plain_sql() -> None:
    (ratio,) = plan.main(["--scale", "0.01", "--select", "bronze_commerce.*"])
    assert ratio.measured > ratio.reference > 0
