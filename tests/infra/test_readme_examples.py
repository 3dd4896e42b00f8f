"""The examples of the modules' READMEs, taken together, are one configuration that plans."""

from __future__ import annotations

import re
from pathlib import Path

from tests.infra.conftest import INFRA, Terraform

MODULES = sorted(folder.name for folder in (INFRA / "modules").iterdir() if folder.is_dir())


def test_examples_plan_together(terraform: Terraform, infra: Path) -> None:
    root = infra / "examples"
    root.mkdir()
    for module in MODULES:
        (root / f"{module}.tf").write_text(_example(module))
    terraform.init(root)
    plan = terraform.plan(root)
    planned = {change["module_address"] for change in plan["resource_changes"]}
    assert planned == {f"module.{module}" for module in MODULES}
    assert all(change["change"]["actions"] == ["create"] for change in plan["resource_changes"])


def _example(module: str) -> str:
    readme = (INFRA / "modules" / module / "README.md").read_text("utf-8")
    examples = re.findall(r"^```hcl\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    assert len(examples) == 1, f"README.md of {module} has not one example"
    example: str = examples[0]
    assert f'source = "./infra/modules/{module}"' in example
    return example.replace('"./infra/modules/', '"../modules/')
