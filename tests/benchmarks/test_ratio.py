"""The benchmarks' own arithmetic, and the collection of their results."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks.ratio import Ratio


def ratio(**changes: object) -> Ratio:
    values: dict[str, object] = {
        "name": "land", "measured": 6.0, "reference": 2.0, "reference_name": "COPY",
    }  # fmt: skip
    return Ratio(**(values | changes))  # type: ignore[arg-type]


def test_a_ratio_without_an_aim_is_neither_met_nor_missed() -> None:
    assert ratio().ratio == 3
    assert ratio().met is None


@pytest.mark.parametrize(
    ("aims", "met"),
    [
        ({"most": 3}, True),
        ({"most": 2.9}, False),
        ({"most_above": 4}, True),
        ({"most_above": 3.9}, False),
        ({"most": 3, "most_above": 3.9}, False),
    ],
)
def test_aims(aims: dict[str, float], met: bool) -> None:
    assert ratio(**aims).met is met


def test_a_reference_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="no ratio"):
        ratio(reference=0)


def test_results_are_collected_and_a_failure_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_argv: list[str]) -> list[Ratio]:
        msg = "boom"
        raise RuntimeError(msg)

    good = types.SimpleNamespace(main=lambda _argv: [ratio(most=1)])
    monkeypatch.setitem(sys.modules, "benchmarks.bad", types.SimpleNamespace(main=fail))
    monkeypatch.setitem(sys.modules, "benchmarks.good", good)
    monkeypatch.setattr(bench, "names", lambda: ["bad", "good"])

    assert bench.main(["--json", str(tmp_path / "out.json")]) == 1
    assert [line["met"] for line in json.loads((tmp_path / "out.json").read_text())] == [False]
    printed = capsys.readouterr()
    assert "3.00" in printed.out
    assert "failed: bad" in printed.err
    assert bench.main(["good"]) == 0
    assert bench.main(["good", "--strict"]) == 1
