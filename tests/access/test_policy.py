"""The shipped policy: without fault, and doing what its own tests say."""

from __future__ import annotations

import json
from pathlib import Path

from lavra.access.cases import CasesFile, run_cases
from lavra.access.lint import lint
from lavra.access.policy import load_policy, policy_schema
from lavra.dashboards.gold import gold_of_models
from lavra.settings import load_settings

ROOT = Path(__file__).parents[2]


def test_the_policy_is_without_fault_and_passes_its_tests(tmp_path: Path) -> None:
    settings = load_settings(ROOT, state_dir=tmp_path)
    gold, policy = gold_of_models(settings), load_policy(ROOT)
    assert policy is not None
    assert lint(policy, gold) == []
    outcomes = list(run_cases(ROOT, policy, gold))
    assert len(outcomes) >= 9
    assert [outcome for outcome in outcomes if outcome.problem] == []


def test_the_committed_schemas_are_those_of_the_models() -> None:
    folder = ROOT / "lavra" / "access" / "schema"
    assert json.loads((folder / "policy.schema.json").read_text()) == policy_schema()
    committed = json.loads((folder / "tests.schema.json").read_text())
    assert committed == CasesFile.model_json_schema()
