"""The rule by itself: every way in which an environment may not be released."""

import dataclasses
import datetime as dt

import pytest

from lavra.releases.ledger import Evaluation
from lavra.releases.rule import EnvironmentTable, check, relevant_tables

THEN = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def table(schema: str, name: str, *reads: str) -> EnvironmentTable:
    return EnvironmentTable(
        model=f"{schema}.{name}",
        schema_name=schema,
        table_name=name,
        physical_table=f"p.{name}",
        reads={read: f"p.{read.split('.')[1]}" for read in reads},
    )


TABLES = {
    t.model: t
    for t in (
        table("bronze_shop", "raw"),
        table("bronze_shop", "other"),
        table("silver_shop", "clean", "bronze_shop.raw"),
        table("gold_shop", "daily", "silver_shop.clean"),
    )
}
GOOD = {
    "p.raw": Evaluation("p.raw", "bronze_shop.raw", 1, THEN, 10, {}),
    "p.clean": Evaluation(
        "p.clean", "silver_shop.clean", 2, THEN, 12, {"model:bronze_shop.raw": ["p.raw", 1]}
    ),
    "p.daily": Evaluation(
        "p.daily", "gold_shop.daily", 3, THEN, 14, {"model:silver_shop.clean": ["p.clean", 2]}
    ),
}
WRITES = {"p.raw": 10, "p.clean": 11, "p.daily": 14, "p.other": 99}


def blocked(writes: dict[str, int] | None = None, **changed: Evaluation | None) -> dict[str, str]:
    evaluations = {
        key: value
        for key, value in (GOOD | {f"p.{k}": v for k, v in changed.items()}).items()
        if value is not None
    }
    return {b.model: b.reason for b in check(TABLES, evaluations, WRITES | (writes or {}))}


def test_all_evaluated_and_untouched_since_is_released() -> None:
    assert blocked() == {}


def test_only_what_gold_is_made_of_matters() -> None:
    assert set(relevant_tables(TABLES)) == {
        "gold_shop.daily",
        "silver_shop.clean",
        "bronze_shop.raw",
    }


@pytest.mark.parametrize("name", ["raw", "clean", "daily"])
def test_an_unfinished_evaluation_blocks_wherever_it_is(name: str) -> None:
    pending = dataclasses.replace(
        GOOD[f"p.{name}"], pending_since=THEN, pending_reason="audit not_null failed"
    )
    (reason,) = [r for m, r in blocked(**{name: pending}).items() if m.endswith(name)]
    assert "has not finished: audit not_null failed" in reason


def test_an_interrupted_evaluation_says_so() -> None:
    pending = dataclasses.replace(GOOD["p.daily"], pending_since=THEN)
    assert "interrupted" in blocked(daily=pending)["gold_shop.daily"]


def test_a_table_that_was_never_evaluated_blocks() -> None:
    assert "never" in blocked(daily=None)["gold_shop.daily"]
    begun = Evaluation("p.daily", "gold_shop.daily")
    assert "never" in blocked(daily=begun)["gold_shop.daily"]


def test_a_write_after_the_audits_blocks() -> None:
    assert "not by SQLMesh" in blocked({"p.clean": 13})["silver_shop.clean"]


def test_a_view_has_no_writes_of_its_own() -> None:
    without = {k: v for k, v in WRITES.items() if k != "p.daily"}
    assert check(TABLES, GOOD, without) == []


def test_a_table_older_than_its_input_blocks() -> None:
    again = dataclasses.replace(GOOD["p.clean"], number=9, lake_snapshot=20)
    assert blocked({"p.clean": 19}, clean=again) == {
        "gold_shop.daily": "it has not been evaluated since silver_shop.clean, which it reads, was"
    }


def test_an_input_with_another_physical_table_blocks() -> None:
    moved = dataclasses.replace(
        GOOD["p.daily"], inputs={"model:silver_shop.clean": ["p.clean_before", 2]}
    )
    assert list(blocked(daily=moved)) == ["gold_shop.daily"]


def test_nothing_served_is_nothing_blocked() -> None:
    only = {"bronze_shop.raw": TABLES["bronze_shop.raw"]}
    assert check(only, {}, {}) == []
