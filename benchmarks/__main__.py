"""Run the benchmarks and print their ratios: ``python -m benchmarks [NAME...] [--json FILE]``.

Each ``benchmarks/<name>.py`` with a ``main(argv) -> list[Ratio]`` is one benchmark. They run one
after the other, each in this process, so that they do not disturb each other. A benchmark that
fails is reported and the others still run; the exit status is then 1. A missed aim is marked, and
fails the run only with ``--strict``: machines differ, ratios much less.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.ratio import Ratio
from benchmarks.report import write_report

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
_NOT_BENCHMARKS = {"__init__", "__main__", "ratio", "report"}


def names() -> list[str]:
    """Return the names of all benchmarks, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in _NOT_BENCHMARKS)


def run(chosen: list[str]) -> tuple[dict[str, list[Ratio]], list[str]]:
    """Run the chosen benchmarks; return the ratios by benchmark, and the names that failed."""
    results: dict[str, list[Ratio]] = {}
    failed: list[str] = []
    for name in chosen:
        print(f"benchmark {name} ...", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            results[name] = importlib.import_module(f"benchmarks.{name}").main([])
        except Exception:  # noqa: BLE001 - shown whole; the others still run
            traceback.print_exc()
            failed.append(name)
        print(f"benchmark {name}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
    return results, failed


def table(results: dict[str, list[Ratio]]) -> Table:
    """Return the ratios as a table for a terminal."""
    shown = Table("benchmark", "what", "ours", "reference", "ratio", "aim", "met", "note", box=None)
    for name, ratios in results.items():
        for r in ratios:
            met = {None: "", True: "yes", False: "NO"}[r.met]
            shown.add_row(
                name, r.name, f"{r.measured:.3f} {r.unit}",
                f"{r.reference:.3f} {r.unit} ({r.reference_name})", f"{r.ratio:.2f}",
                r.aim, met, r.note,
            )  # fmt: skip
    return shown


def main(argv: list[str] | None = None) -> int:
    """Run what the arguments name and print it; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", choices=[*names(), []], help="default: all")
    parser.add_argument("--json", type=Path, help="write the ratios to this file as well")
    parser.add_argument(
        "--report",
        action="store_true",
        help="write docs/benchmarks.md and its plot; rows of benchmarks that did not run stay",
    )
    parser.add_argument("--strict", action="store_true", help="a missed aim exits with 1")
    arguments = parser.parse_args(argv)
    results, failed = run(arguments.name or names())
    Console(width=None if sys.stdout.isatty() else 200).print(table(results))
    if arguments.report:
        others = tuple(name for name in names() if name not in results)
        write_report(results, ROOT / "docs", others=others)
    if arguments.json:
        lines = [
            {"benchmark": name, **asdict(r), "ratio": r.ratio, "met": r.met}
            for name, ratios in results.items()
            for r in ratios
        ]
        arguments.json.write_text(json.dumps(lines, indent=2) + "\n")
    missed = any(r.met is False for ratios in results.values() for r in ratios)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed) or (arguments.strict and missed))


if __name__ == "__main__":
    sys.exit(main())
