"""What decides whether a start may serve first and refresh afterwards: did the code change?"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from lavra.settings import PROJECT_FILE

if TYPE_CHECKING:
    from lavra.settings import Settings

_DECLARATIONS = ("airbyte", "sqlmesh_project")
_NOT_CODE = {"__pycache__", ".cache", "logs"}


def fingerprint(settings: Settings, domains: Sequence[str] = ()) -> str:
    """Return a digest of the project's sources and models, and of what reads them.

    Two starts with the same digest would plan the same models. Files are read, not dated: a
    fresh checkout of the same commit has the same digest.

    Args:
        settings: Of the project.
        domains: Those that run.
    """
    digest = hashlib.sha256()
    parts = (version("lavra"), settings.time_zone, settings.resolved_lake_url, *sorted(domains))
    digest.update(" ".join(parts).encode())
    root = settings.project
    files = [root / PROJECT_FILE]
    for folder in _DECLARATIONS:
        files += [
            path
            for path in sorted((root / folder).rglob("*"))
            if path.is_file() and not _NOT_CODE & set(path.relative_to(root).parts)
        ]
    for path in files:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"\n{path.relative_to(root)} {content}".encode())
    return digest.hexdigest()


def applied_file(settings: Settings) -> Path:
    """Return the file that keeps the digest of the last start whose plan succeeded."""
    return settings.state / "run" / "applied"


def is_applied(settings: Settings, digest: str) -> bool:
    """Whether a plan of exactly this code succeeded here before."""
    file = applied_file(settings)
    return file.exists() and file.read_text() == digest


def mark_applied(settings: Settings, digest: str) -> None:
    """Remember that a plan of this code succeeded."""
    file = applied_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(digest)
