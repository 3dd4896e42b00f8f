"""The landing benchmark, small: it lands what it says and compares."""

from benchmarks import landing


def test_it_runs_small() -> None:
    [ratio] = landing.main(["--rows", "2000", "--rounds", "1"])
    assert ratio.measured > 0
    assert ratio.most == 3
    assert "2,000 rows" in ratio.name
