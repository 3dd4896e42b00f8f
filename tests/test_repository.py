"""What must hold of the repository itself."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE_LINES, TEST_LINES = 400, 600


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name]


@pytest.mark.parametrize("folder", ["superset", "airbyte"])
def test_nothing_shadows_an_installed_package(folder: str) -> None:
    assert tracked(f"{folder}/**/__init__.py", f"{folder}/__init__.py") == []


def test_files_stay_short_enough_to_read() -> None:
    too_long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked("*.py")
        if path.exists() and (lines := len(path.read_text("utf-8").splitlines()))
        > (TEST_LINES if path.is_relative_to(ROOT / "tests") else SOURCE_LINES)
    }  # fmt: skip
    assert too_long == {}


def test_only_the_settings_read_the_environment() -> None:
    """Programs that we start get a whole environment; nobody else looks a variable up."""
    reading = ("os.getenv", "os.environ.get(", "os.environ[", "environ.get(")
    readers = {
        str(path.relative_to(ROOT))
        for package in ("lavra", "query_service")
        for path in tracked(f"{package}/*.py")
        if path.exists() and any(word in path.read_text("utf-8") for word in reading)
    }
    # Superset's own process, in its own environment, has none of our settings: it gets one file.
    superset_side = "lavra/dashboards/superset_side/superset_config.py"
    assert readers <= {"lavra/settings.py", superset_side}


def test_no_path_of_one_machine_is_committed() -> None:
    own = ("/wo" + "rk/", "/ro" + "ot/")
    found = [
        str(path.relative_to(ROOT))
        for path in tracked(":!*.lock")
        if path.exists()
        and path.suffix not in {".png", ".gz", ".parquet"}
        and any(place in path.read_text("utf-8", errors="replace") for place in own)
    ]
    assert found == []


def test_test_files_have_names_of_their_own() -> None:
    """Pytest imports them by name alone, so two of one name cannot run together."""
    names = [path.name for path in tracked("tests/*.py") if path.exists()]
    names = [name for name in names if name.startswith("test_")]
    assert sorted({name for name in names if names.count(name) > 1}) == []
