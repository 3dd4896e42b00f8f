"""The benchmark of connectors, small: it lands what it says and compares."""

from benchmarks import connector_landing


def test_it_runs_small() -> None:
    [ratio] = connector_landing.main(["--rows", "2000", "--rounds", "1", "--no-dlt"])
    assert ratio.measured > 0
    assert ratio.reference == 2_000 / connector_landing.AIM_PER_SECOND
    assert "2,000 records" in ratio.name
