"""The models in BigQuery's words, before GoogleSQL's own analyzer: names, functions, types.

It is ZetaSQL, built as WebAssembly by others (``zetasql`` on PyPI): no part of the lock, and in an
environment of its own. It allows more than BigQuery does, but knows what sqlglot's parser does
not: which functions there are, and which types they take.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lavra.modeling import lake
from lavra.modeling.bigquery import to_bigquery

ANALYZER = "zetasql==0.1.4"
PROJECT = Path(__file__).parents[2] / "sqlmesh_project"
ON_BIGQUERY = {
    "LAVRA_MODELS_GATEWAY": "bigquery",
    "LAVRA_BIGQUERY_PROJECT": "acme-lake",
    "LAVRA_BIGQUERY_LOCATION": "EU",
}

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]


def analyzed(tables: dict[str, Any], queries: dict[str, str]) -> dict[str, Any]:
    """Return what the analyzer says of each query."""
    tool = (
        "uv",
        "run",
        "--quiet",
        "--no-project",
        "--python",
        "3.11",
        "--with",
        ANALYZER,
        "python",
    )
    there = subprocess.run([*tool, "-c", "import zetasql"], capture_output=True, check=False)
    if there.returncode:
        pytest.skip(f"{ANALYZER} cannot be installed: {there.stderr.decode()[-300:]}")
    done = subprocess.run(
        [*tool, str(Path(__file__).with_name("googlesql.py"))],
        input=json.dumps({"tables": tables, "queries": queries}),
        capture_output=True, text=True, check=False, timeout=1500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The project's Context with these settings."""
    from sqlmesh.core.console import CaptureTerminalConsole, set_console
    from sqlmesh.core.context import Context

    set_console(CaptureTerminalConsole())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake, "_active", None)
        for name, value in request.param.items():
            patch.setenv(name, value)
        context = Context(paths=[str(PROJECT)])
        yield context
        context.close()


def types(model: Any) -> dict[str, str]:
    return {
        name: kind.sql("bigquery").split("(")[0] for name, kind in model.columns_to_types.items()
    }


def flat(text: str, catalog: str) -> str:
    """Name the tables as the analyzer's catalog does, which has no datasets."""
    return re.sub(rf"`{catalog}`\.`(\w+)`\.`(\w+)`", r"`\1__\2`", text)


@pytest.mark.parametrize("opened", [{"LAVRA_DOMAINS": '["commerce", "aviation"]'}], indirect=True)
def test_silver_and_gold_of_both_domains(opened: Any) -> None:
    models = {model.name.replace(".", "__"): model for model in opened.models.values()}
    queries = {
        name: flat(to_bigquery(model.render_query()).sql(dialect="bigquery"), "lake")
        for name, model in models.items()
        if model.is_sql and not name.startswith("bronze_")
    }
    assert len(queries) > 50
    said = analyzed({name: types(model) for name, model in models.items()}, queries)
    assert said == {name: types(models[name]) for name in queries}


@pytest.mark.parametrize("opened", [ON_BIGQUERY], indirect=True)
def test_bronze_as_a_run_reads_it(opened: Any) -> None:
    from sqlglot import exp
    from sqlmesh.core.macros import RuntimeStage

    adapter = opened.engine_adapter
    models = {m.name: m for m in opened.models.values() if m.name.startswith("bronze_")}
    tables, queries = {}, {}
    for name, model in models.items():
        query = model.render_query(runtime_stage=RuntimeStage.EVALUATING, engine_adapter=adapter)
        landed = query.find(exp.Table, bfs=False)
        for table in query.find_all(exp.Table):
            landed = table if table.catalog else landed
        # Airbyte's destination has the types that the connector declares; these are the likeliest.
        tables[f"{landed.db}__{landed.name}"] = {
            column.name: column.parent.to.sql("bigquery").split("(")[0]
            for column in landed.find_ancestor(exp.Select).find_all(exp.Column)
            if isinstance(column.parent, exp.Cast)
        }
        queries[name] = flat(adapter._to_sql(query), "acme-lake")
    assert len(queries) == 8
    assert analyzed(tables, queries) == {name: types(model) for name, model in models.items()}
