"""A project is written whole or not at all, and nothing that was there is touched."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from pydantic import ValidationError

from lavra.errors import ConfigurationError
from lavra.scaffold.project import Project
from lavra.settings import Settings

_NO_OBSTACLE = frozenset({".git"})


def check_settings(name: str, time_zone: str) -> None:
    """Refuse a name or time zone that the project's settings would refuse later.

    Raises:
        ConfigurationError: the name or the time zone is wrong.
    """
    try:
        Settings(project=Path(), name=name, time_zone=time_zone)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']}"
            for e in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(
            f"That cannot be: {wrong}.",
            remedy="A name starts with a letter and holds a-z, 0-9 and _; "
            "a time zone is one like America/Sao_Paulo.",
        ) from error


def check_folder(folder: Path, *, force: bool) -> None:
    """Refuse a folder that a project must not be written to.

    Raises:
        ConfigurationError: it is no folder, or it holds files and ``force`` is not set.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(
            f"{folder} is a file.", remedy="Name a folder that does not exist yet."
        )
    parent = folder.absolute().parent
    if not folder.exists() and not parent.is_dir():
        raise ConfigurationError(
            f"There is no folder {parent}.", remedy="Create it first, or name another place."
        )
    if force or not folder.exists():
        return
    held = sorted(entry.name for entry in folder.iterdir() if entry.name not in _NO_OBSTACLE)
    if held:
        shown = ", ".join(held[:3]) + (", ..." if len(held) > 3 else "")
        raise ConfigurationError(
            f"{folder} is not empty: it holds {shown}.",
            remedy="Name another folder, or say --force: what is there stays as it is.",
        )


def write_project(project: Project, folder: Path) -> list[str]:
    """Write a project to ``folder`` and return the paths written, sorted.

    It is written beside its place and renamed into it, so that a crash leaves at most a folder
    called ``.<name>.lavra-init-...``. Into a folder that exists, file by file: a failure takes
    back those that were placed, and files that were there are never overwritten.

    Raises:
        ConfigurationError: a file of the project is there already, or the disk refuses.
    """
    target = folder.absolute()
    written = sorted([*project.texts, *project.copies])
    if taken := [path for path in written if (target / path).exists()]:
        raise ConfigurationError(
            f"{folder} already holds {', '.join(taken[:3])}{', ...' if len(taken) > 3 else ''}.",
            remedy="Nothing was written. Name another folder, or move these files away.",
        )
    draft = None
    try:
        draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.lavra-init-", dir=target.parent))
        for path, text in project.texts.items():
            place = draft / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        for path, source in project.copies.items():
            place = draft / path
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)
        if target.exists():
            _place(draft, target, written)
        else:
            draft.chmod(0o777 & ~_umask())
            draft.rename(target)
    except OSError as error:
        raise ConfigurationError(
            f"{folder} could not be written: {error}.", remedy="Nothing was left behind."
        ) from error
    finally:
        if draft and draft.exists():
            shutil.rmtree(draft)
    return written


def _place(draft: Path, target: Path, paths: list[str]) -> None:
    """Move files into a folder that exists; take them back if one fails."""
    placed: list[Path] = []
    made: list[Path] = []
    try:
        for path in paths:
            place = target / path
            for parent in reversed(place.relative_to(target).parents[:-1]):
                if not (target / parent).exists():
                    (target / parent).mkdir()
                    made.append(target / parent)
            os.link(draft / path, place)  # unlike a rename, refuses to overwrite
            placed.append(place)
    except OSError:
        for place in placed:
            place.unlink()
        for parent in reversed(made):
            parent.rmdir()
        raise


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
