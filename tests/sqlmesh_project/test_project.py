"""The project as SQLMesh sees it: it loads, lints, is formatted, documented, audited and tested."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "sqlmesh_project"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def context() -> Iterator[Any]:
    from sqlmesh.core.console import CaptureTerminalConsole, set_console
    from sqlmesh.core.context import Context

    set_console(CaptureTerminalConsole())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAVRA_DOMAINS", '["commerce", "aviation"]')
        opened = Context(paths=[str(PROJECT)])
        yield opened
        opened.close()


def test_a_domain_on_request_is_left_out_until_it_is_requested(context: Any) -> None:
    from lavra.modeling import project_config
    from lavra.settings import load_settings

    assert load_settings(ROOT).domains_left_out == ("aviation",)
    ignored = project_config(PROJECT).ignore_patterns
    assert {"models/bronze/aviation/*", "models/gold/aviation/*", "tests/aviation/*"} <= set(
        ignored
    )
    assert not any("aviation" in pattern for pattern in context.config.ignore_patterns)
    assert "lake.gold_aviation.live_minutes" in {
        m.fqn.replace('"', "") for m in context.models.values()
    }


def test_it_lints(context: Any) -> None:
    context.lint_models(raise_on_error=True)


def test_it_is_formatted(context: Any) -> None:
    assert context.format(check=True)


def test_its_unit_tests_pass(context: Any) -> None:
    result = context.test()
    assert result.testsRun >= 10
    assert result.wasSuccessful(), result.failures + result.errors


def test_every_model_says_what_it_holds_and_checks_it(context: Any) -> None:
    for model in context.models.values():
        assert model.description, model.name
        assert model.grains, model.name
        assert set(model.column_descriptions) == set(model.columns_to_types), model.name
        assert model.kind.is_embedded or model.audits, model.name
        for column, kind in model.columns_to_types.items():
            assert kind.sql() not in ("UNKNOWN", "NULL"), (model.name, column)


def test_time_zones_decide_the_business_day(context: Any) -> None:
    query = context.render("silver_commerce.checked_orders").sql(dialect="duckdb")
    assert "America/Sao_Paulo" in query
    assert "CURRENT_" not in query.upper(), "the result must not depend on when it is computed"


@pytest.mark.parametrize("domain", ["commerce", "aviation"])
def test_every_metric_is_of_a_model_and_of_its_columns(context: Any, domain: str) -> None:
    from sqlglot import exp, parse_one

    declared = yaml.safe_load((PROJECT / f"models/gold/{domain}/metrics.yaml").read_text("utf-8"))
    for table, content in declared["tables"].items():
        columns = set(context.get_model(f"gold_{domain}.{table}").columns_to_types)
        names = [metric["name"] for metric in content["metrics"]]
        assert len(names) == len(set(names)), table
        for metric in content["metrics"]:
            used = {c.name for c in parse_one(metric["expression"]).find_all(exp.Column)}
            assert used <= columns, (table, metric["name"])
            assert metric["description"]


def test_its_models_can_be_said_in_bigquerys_dialect(context: Any) -> None:
    """Every SQL model of both domains, as the gateway would say it, has the same columns there.

    That is as far as this goes without Google: what BigQuery makes of it is not known.
    """
    from sqlglot import ErrorLevel, parse_one

    from lavra.modeling.bigquery import to_bigquery

    said = 0
    for model in context.models.values():
        if not model.is_sql:
            continue
        query = model.render_query()
        text = to_bigquery(query).sql(dialect="bigquery", unsupported_level=ErrorLevel.RAISE)
        assert parse_one(text, dialect="bigquery").named_selects == query.named_selects, model.fqn
        said += 1
    assert said > 60
