"""Superset's own Python environment: made once from the lock, shared by all lakes of a user."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from lavra.environments import LockedEnvironment, Report, folder_of
from lavra.errors import ConfigurationError

if TYPE_CHECKING:
    from lavra.settings import Settings

_DRIVER = "lavra_driver"


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

    Args:
        settings: Say where environments are kept.
        report: Told what is going on, one line at a time.
        locked: Another lock than the shipped one, for tests.

    Raises:
        ConfigurationError: no suitable Python, or uv is not installed.
        ProcessError: the installation failed; the message holds what uv said last.
    """
    environment = locked_environment(settings, locked)
    environment.ensure(report)
    return SupersetEnvironment(
        environment.folder, driver_folder(settings.state / "superset" / "driver")
    )


def locked_environment(settings: Settings, locked: Path | None = None) -> LockedEnvironment:
    """Return the environment of a lock (default: the shipped one), made or not."""
    lock = locked or _shipped_lock()
    folder = folder_of("superset", lock, settings.superset_environments_dir)
    return LockedEnvironment("Superset", lock, folder, "superset")


def _shipped_lock() -> Path:
    return Path(str(files("lavra.dashboards") / "superset_side" / "requirements.txt"))


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
