"""Each house rule: a model that keeps it, and one that does not."""

from typing import Any

import pytest
from sqlmesh.core.dialect import parse
from sqlmesh.core.model import load_sql_based_model

from lavra.modeling.linter import (
    HOUSE_RULES,
    CastsItsColumns,
    HasAudit,
    HasColumnComments,
    HasDescription,
    HasGrain,
    NamesItsColumns,
    ReadsTheLayerBelow,
)

GOOD = """
MODEL (
  name gold_shop.daily, kind FULL, grain day, description 'Days.',
  column_descriptions (day = 'The day.'), audits (not_null(columns := (day)))
);
SELECT day::DATE AS day FROM silver_shop.orders
"""


def load(text: str) -> Any:
    return load_sql_based_model(
        parse(text, default_dialect="duckdb"), dialect="duckdb", default_catalog="lake"
    )


@pytest.mark.parametrize("rule", HOUSE_RULES)
def test_a_model_that_keeps_them_all(rule: Any) -> None:
    assert rule(None).check_model(load(GOOD)) is None


@pytest.mark.parametrize(
    ("rule", "old", "new", "said"),
    [
        (HasDescription, "description 'Days.',", "", "no description"),
        (HasColumnComments, "column_descriptions (day = 'The day.'),", "", "comment: day"),
        (HasGrain, "grain day,", "", "no grain"),
        (HasAudit, ", audits (not_null(columns := (day)))", "", "no audit"),
        (CastsItsColumns, "day::DATE AS day", "day", "not cast: day"),
        (NamesItsColumns, "SELECT day::DATE AS day", "SELECT *", "selects *"),
        (ReadsTheLayerBelow, "silver_shop", "bronze_shop", "gold model may not read bronze_shop"),
    ],
)
def test_a_model_that_breaks_one(rule: Any, old: str, new: str, said: str) -> None:
    assert old in GOOD
    violation = rule(None).check_model(load(GOOD.replace(old, new)))
    assert violation is not None
    assert said in violation.violation_msg


@pytest.mark.parametrize(
    ("schema", "source", "allowed"),
    [
        ("gold_shop", "gold_other", True),
        ("silver_shop", "bronze_shop", True),
        ("silver_shop", "gold_shop", False),
        ("bronze_shop", "silver_shop", False),
        ("bronze_shop", "external_thing", True),
        ("scratch", "gold_shop", True),
    ],
)
def test_layers(schema: str, source: str, allowed: bool) -> None:
    text = GOOD.replace("silver_shop", "SOURCE").replace("gold_shop", schema)
    model = load(text.replace("SOURCE", source))
    assert (ReadsTheLayerBelow(None).check_model(model) is None) is allowed


def test_an_embedded_model_needs_no_grain_or_audit_of_its_own() -> None:
    text = "MODEL (name silver_shop.x, kind EMBEDDED, description 'X.'); SELECT 1 AS a"
    assert [rule.name for rule in HOUSE_RULES if rule(None).check_model(load(text))] == []
