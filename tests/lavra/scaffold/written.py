"""Checks of a written project that need neither a catalog nor a service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlmesh import Context

from lavra.dashboards.gold import gold_of_models
from lavra.dashboards.lint import lint
from lavra.landing.connections import load_connections
from lavra.settings import load_settings


def load(folder: Path) -> Context:
    """The project's SQLMesh context."""
    return Context(paths=[str(folder / "sqlmesh_project")])


def check_project(folder: Path) -> set[str]:
    """Load, lint, format and test a project; return the names of the unit tests that ran."""
    context = load(folder)
    context.lint_models()
    assert context.format(check=True), "sqlmesh format would change a file"
    _, gold, problems = lint(folder, gold_of_models(load_settings(folder)))
    assert problems == []
    assert gold.tables
    assert load_connections(folder)
    result: Any = context.test()
    assert result.wasSuccessful(), [text for _, text in (*result.failures, *result.errors)]
    tests: set[str] = set()
    for path in (folder / "sqlmesh_project" / "tests").glob("*.yaml"):
        tests |= {line.rstrip(":") for line in path.read_text().splitlines() if line[:1].strip()}
    assert result.testsRun == len(tests)
    return tests
