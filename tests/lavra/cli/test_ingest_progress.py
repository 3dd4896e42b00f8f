"""What is said while a landing goes on: not too often, and not too seldom for a slow source."""

from __future__ import annotations

import pytest

from lavra.cli import ingest_progress
from lavra.cli.ingest_progress import Progress, size_text


def test_rows_are_told_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(ingest_progress.time, "monotonic", lambda: clock[0])
    progress = Progress()
    for now, rows in ((1, 10), (9, 400_000), (9, 600_000), (12, 610_000), (19.5, 620_000)):
        clock[0] = float(now)
        progress.rows("shop", "orders", rows)
    assert capsys.readouterr().err.splitlines() == [
        "shop.orders: 600,000 rows so far", "shop.orders: 620,000 rows so far",
    ]  # fmt: skip


def test_sizes_are_shown_in_their_unit() -> None:
    assert [size_text(n) for n in (0, 999, 1500, 2_000_000)] == ["0 B", "999 B", "1.5 kB", "2.0 MB"]
