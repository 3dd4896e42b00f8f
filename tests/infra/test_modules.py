"""Each module's own tests pass, and each of their assertions fails when the thing is broken."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.infra.conftest import INFRA, Terraform, TestReport

MODULES = sorted(folder.name for folder in (INFRA / "modules").iterdir() if folder.is_dir())
SOAK = pytest.mark.soak
BREAKAGES: dict[str, list[dict[str, str]]] = yaml.safe_load(
    Path(__file__).with_name("breakages.yaml").read_text("utf-8")
)


def test_every_file_is_formatted() -> None:
    program = shutil.which("terraform")
    if not program:
        pytest.skip("terraform is not installed")
    done = subprocess.run(
        [program, "fmt", "-check", "-diff", "-recursive", str(INFRA)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "module",
    # Each takes seconds. These four hold neither data nor access; the plans make them each time.
    [
        pytest.param(name, marks=SOAK)
        if name in {"apis", "monitoring", "network", "registry"}
        else name
        for name in MODULES
    ],
)
def test_module(terraform: Terraform, infra: Path, module: str) -> None:
    report = _test_module(terraform, infra, module)
    assert report.errors == []
    assert report.failures == set()
    assert set(report.runs) == _declared_runs(module)
    assert set(report.runs.values()) == {"pass"}


@pytest.mark.parametrize(
    "module",
    [
        # One each time, for the time that it takes; the rest in the soak.
        name if name == "lake" else pytest.param(name, marks=SOAK)
        for name in MODULES
    ],
)
def test_each_assertion_of_a_module_can_fail(
    terraform: Terraform, infra: Path, module: str
) -> None:
    """All breakages at once: every assertion fails, and every input that was refused passes."""
    for breakage in BREAKAGES[module]:
        _break(infra, module, breakage)
    _drop_validations(infra, module)
    report = _test_module(terraform, infra, module)
    assert report.failures == _assertions(module) | _refusals(module)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("module", "breakage"),
    [
        pytest.param(module, breakage, id=f"{module}-{breakage['notices']}")
        for module, breakages in BREAKAGES.items()
        for breakage in breakages
    ],
)
def test_breakage_alone_is_noticed(
    terraform: Terraform, infra: Path, module: str, breakage: dict[str, str]
) -> None:
    _break(infra, module, breakage)
    assert breakage["notices"] in _test_module(terraform, infra, module).failures


def test_every_assertion_has_its_breakage() -> None:
    listed = {name: {breakage["notices"] for breakage in rows} for name, rows in BREAKAGES.items()}
    assert listed == {module: _assertions(module) for module in MODULES}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_reads_like_the_others(module: str) -> None:
    """Variables and outputs are in alphabetical order, described, typed, and told in the README."""
    folder = INFRA / "modules" / module
    readme = (folder / "README.md").read_text("utf-8")
    for file, kind in (("variables.tf", "variable"), ("outputs.tf", "output")):
        text = (folder / file).read_text("utf-8")
        names = re.findall(rf'^{kind} "(\w+)"', text, re.MULTILINE)
        assert names == sorted(names), f"{file} is not in alphabetical order"
        assert text.count("\n  description ") == len(names)
        if kind == "variable":
            assert len(re.findall(r"^  type ", text, re.MULTILINE)) == len(names)
        told = re.findall(r"^\| `(\w+)`", readme, re.MULTILINE)
        assert set(names) <= set(told), f"README.md does not tell of {set(names) - set(told)}"


def _test_module(terraform: Terraform, infra: Path, module: str) -> TestReport:
    folder = infra / "modules" / module
    terraform.init(folder)
    return terraform.test(folder)


def _break(infra: Path, module: str, breakage: dict[str, str]) -> None:
    path = infra / "modules" / module / breakage["file"]
    text = path.read_text("utf-8")
    assert breakage["replace"] in text, f"{path.name} of {module} lacks {breakage['replace']!r}"
    path.write_text(text.replace(breakage["replace"], breakage["with"], 1), "utf-8")


def _drop_validations(infra: Path, module: str) -> None:
    path = infra / "modules" / module / "variables.tf"
    dropped = re.sub(r"\n  validation \{\n.*?\n  \}\n", "\n", path.read_text(), flags=re.DOTALL)
    path.write_text(dropped)


def _test_files(module: str) -> str:
    files = sorted((INFRA / "modules" / module / "tests").glob("*.tftest.hcl"))
    return "\n".join(file.read_text("utf-8") for file in files)


def _declared_runs(module: str) -> set[str]:
    return set(re.findall(r'^run "(\w+)"', _test_files(module), re.MULTILINE))


def _assertions(module: str) -> set[str]:
    return set(re.findall(r'error_message\s*= "(.*)"', _test_files(module)))


def _refusals(module: str) -> set[str]:
    """Return what must be refused; each validated variable must be among it."""
    lists = re.findall(r"expect_failures = \[(.*?)\]", _test_files(module), re.DOTALL)
    refused = {name for names in lists for name in re.findall(r"var\.\w+", names)}
    text = (INFRA / "modules" / module / "variables.tf").read_text("utf-8")
    blocks: list[tuple[str, str]] = re.findall(
        r'^variable "(\w+)" \{\n(.*?)\n\}', text, re.DOTALL | re.MULTILINE
    )
    validated = {f"var.{name}" for name, body in blocks if "validation {" in body}
    assert refused == validated
    return {f"not refused: {name}" for name in refused}
