"""Superset's own Python environment: made once from the lock, shared by all lakes of a user."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from lavra.errors import ConfigurationError, ProcessError

if TYPE_CHECKING:
    from lavra.settings import Settings

PYTHON_VERSION = (3, 11)
"""Superset's pins (pandas, NumPy) have no wheels that suit every newer one."""

_COMPLETE = "lavra-complete"
_DRIVER = "lavra_driver"
Report = Callable[[str], None]


@dataclass(frozen=True)
class SupersetEnvironment:
    """A complete environment: ``folder`` is a venv, ``driver`` a folder for PYTHONPATH."""

    folder: Path
    driver: Path

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / "bin" / "python"

    def variables(self) -> dict[str, str]:
        """Return the environment variables with which its programs find the driver."""
        return {"PYTHONPATH": str(self.driver), "PYTHONNOUSERSITE": "1"}


def ensure_environment(
    settings: Settings, report: Report | None = None, *, locked: Path | None = None
) -> SupersetEnvironment:
    """Return the environment, made when it is missing; about a minute then, if cached.

    Concurrency: processes wait for the one that makes it. Crash: a half-made one has no mark of
    completeness, is never used, and is made anew. Offline: works from uv's cache, if it is warm.

    Args:
        settings: Say where environments are kept.
        report: Told what is going on, one line at a time.
        locked: Another lock than the shipped one, for tests.

    Raises:
        ConfigurationError: no suitable Python, or uv is not installed.
        ProcessError: the installation failed; the message holds what uv said last.
    """
    lock = locked or _shipped_lock()
    folder = environment_folder(settings, lock)
    if not is_complete(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _exclusive(folder.with_suffix(".lock")):
            if not is_complete(folder):
                _make(folder, lock, report or (lambda _: None))
    return SupersetEnvironment(folder, driver_folder(settings.state / "superset" / "driver"))


def environment_folder(settings: Settings, locked: Path | None = None) -> Path:
    """Return where the environment of a lock (default: the shipped one) is, made or not."""
    lock = locked or _shipped_lock()
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    root = settings.superset_environments_dir or Path(platformdirs.user_cache_dir("lavra"))
    return root.expanduser().absolute() / f"superset-{digest}"


def is_complete(folder: Path) -> bool:
    """Whether the environment in ``folder`` was made to the end."""
    return (folder / _COMPLETE).exists()


def _shipped_lock() -> Path:
    return Path(str(files("lavra.dashboards") / "superset_side" / "requirements.txt"))


def _make(folder: Path, lock: Path, report: Report) -> None:
    if folder.exists():
        report("Removing a half-made environment")
        shutil.rmtree(folder)
    uv = _uv()
    report("Making Superset's environment")
    _run([uv, "venv", "--quiet", "--python", _python(uv), str(folder)])
    report("Installing Superset (first time only)")
    _run(
        [
            uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"),
            "--require-hashes", "--no-deps", "--compile-bytecode", "--requirements", str(lock),
        ]
    )  # fmt: skip
    (folder / _COMPLETE).write_text("")


def driver_folder(root: Path) -> Path:
    """Return a folder, for PYTHONPATH, that holds the driver of this very installation.

    Superset's environment cannot take ``lavra-driver`` from an index: in a checkout it is not
    there, and its version must be ours. So the installed package is copied, with the metadata
    by which Superset finds its entry points. The folder's name is the digest of its content.
    """
    found = importlib.util.find_spec(_DRIVER)
    if found is None or found.origin is None:
        raise ConfigurationError(
            "lavra-driver is not installed.", remedy="Install lavra[superset]."
        )
    package = Path(found.origin).parent
    sources = sorted(package.rglob("*.py"))
    distribution = importlib.metadata.distribution("lavra-driver")
    notes = {name: distribution.read_text(name) or "" for name in ("METADATA", "entry_points.txt")}
    digest = hashlib.sha256()
    for source in sources:
        digest.update(str(source.relative_to(package)).encode() + b"\0" + source.read_bytes())
    digest.update("\0".join(notes.values()).encode())
    folder = root / digest.hexdigest()[:16]
    if folder.exists():
        return folder
    draft = root / f".{folder.name}.{os.getpid()}"
    for source in sources:
        target = draft / _DRIVER / source.relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    info = draft / f"{_DRIVER}-{distribution.version}.dist-info"
    info.mkdir()
    for name, text in notes.items():
        (info / name).write_text(text, "utf-8")
    try:
        draft.rename(folder)
    except OSError:  # another process was first, with the same content
        shutil.rmtree(draft)
    return folder


def _uv() -> str:
    try:
        from uv import find_uv_bin  # noqa: PLC0415 - only needed to make an environment
    except ImportError:
        found = shutil.which("uv")
        if found:
            return found
        raise ConfigurationError(
            "uv, which installs Superset, is not there.", remedy="Install lavra[superset]."
        ) from None
    return str(find_uv_bin())


def _python(uv: str) -> str:
    """Return the Python to make the environment from: our own, if it is the right one."""
    if sys.version_info[:2] == PYTHON_VERSION:
        return str(getattr(sys, "_base_executable", sys.executable))
    wanted = ".".join(map(str, PYTHON_VERSION))
    found = subprocess.run(
        [uv, "python", "find", "--no-project", wanted], capture_output=True, text=True, check=False
    )
    if found.returncode != 0 or not found.stdout.strip():
        raise ConfigurationError(
            f"Superset needs Python {wanted}, and this machine has none "
            f"(this is {sys.version_info[0]}.{sys.version_info[1]}).",
            remedy=f"Install it, for example with `uv python install {wanted}`.",
        )
    return found.stdout.strip()


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise ProcessError(
            f"Superset's environment cannot be made: {said}",
            remedy="Check the network and the disk, then try again; nothing half-made is used.",
        )


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
