"""Writes ``docs/benchmarks.md`` and its plot from one run's ratios."""

from __future__ import annotations

import datetime as dt
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from benchmarks.ratio import Ratio

_VERSIONS = ("datafusion", "duckdb", "chdb", "roapi", "pyarrow", "fastapi", "uvicorn", "sqlmesh")
NOTES = Path(__file__).parent / "notes.md"
"""What people wrote about the figures: why an aim is missed, what was tried."""


def write_report(
    results: dict[str, list[Ratio]], folder: Path, *, others: tuple[str, ...] = ()
) -> None:
    """Write the page and, where matplotlib is installed (``--group bench``), its plot.

    The rows of benchmarks that did not run now (``others``) stay as they are, and so does the plot
    then, which shows a whole run.
    """
    page, plot = folder / "benchmarks.md", folder / "benchmarks.svg"
    ratios = [ratio for found in results.values() for ratio in found]
    kept = _rows_of(page, others)
    plotted = plot.exists() if kept else _plot(ratios, plot)
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench` (`python -m benchmarks --report`). Less is better: a ratio is our",
        "time over the reference's, both from one run on one machine, one engine at a time.",
        "",
        (
            f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
            f"{psutil.virtual_memory().total / 2**30:.0f} GiB, Python {platform.python_version()}, "
            f"load average {os.getloadavg()[1]:.1f} over the last five minutes. "
            f"{_versions()}."
        ),
        *(
            ["The last rows, from below `" + list(results)[-1] + "` on, are of other runs."]
            if kept
            else []
        ),
        "",
        *(["![ratios](benchmarks.svg)", ""] if plotted else []),
        "| benchmark | what | ours | reference | ratio | aim | met | note |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in results.items():
        for r in found:
            met = {None: "", True: "yes", False: "**no**"}[r.met]
            lines.append(
                f"| {name} | {r.name} | {r.measured:.3f} {r.unit} | {r.reference:.3f} {r.unit} "
                f"({r.reference_name}) | {r.ratio:.2f} | {r.aim} | {met} | {r.note} |"
            )
    lines += [*kept, "", NOTES.read_text("utf-8").strip(), ""]
    page.write_text("\n".join(lines), "utf-8")


def _rows_of(page: Path, names: tuple[str, ...]) -> list[str]:
    lines = page.read_text("utf-8").splitlines() if page.exists() else []
    return [line for line in lines if line.startswith(tuple(f"| {name} |" for name in names))]


def _versions() -> str:
    found = []
    for package in _VERSIONS:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def _plot(ratios: list[Ratio], path: Path) -> bool:
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        return False
    names = [f"{ratio.name} / {ratio.reference_name}" for ratio in ratios]
    figure = Figure(figsize=(10, 0.32 * len(names) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    colours = {None: "#8a8f98", True: "#0f766e", False: "#c2410c"}
    axes.barh(names, [ratio.ratio for ratio in ratios], color=[colours[r.met] for r in ratios])
    axes.axvline(1, color="#333333", linewidth=0.8)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("our time over the reference's (log); green: aim met, red: missed")
    figure.savefig(path, metadata={"Date": None})
    return True
