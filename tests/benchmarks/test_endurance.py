"""Two hours of micro-batches, compressed: nothing grows but what was landed."""

from __future__ import annotations

import pytest

from benchmarks.endurance import endure


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_two_hours_of_batches_leave_nothing_behind() -> None:
    course = endure(7200, 8, most_seconds=1500)
    for value in ("worker_mib", "catalog_mib", "metadata_rows", "files", "live_files"):
        before, after = course.settled(value)
        assert after <= 1.5 * before, value
