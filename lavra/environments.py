"""Python environments of their own, made once from a lock and shared by all lakes of a user.

For programs whose pins clash with ours: Superset, and each of Airbyte's connectors.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from lavra.errors import ConfigurationError, ProcessError

PYTHON_VERSION = (3, 11)
"""Superset's pins (pandas, NumPy) and many connectors have no wheels that suit every newer one."""

Report = Callable[[str], None]
_COMPLETE = "lavra-complete"


@dataclass(frozen=True)
class LockedEnvironment:
    """An environment by its lock, made or not.

    Attributes:
        what: The program in it, for people: ``Superset``.
        lock: The requirements, with hashes.
        folder: Where it is, a venv.
        extra: The extra of Lavra that brings uv, for a message.
    """

    what: str
    lock: Path
    folder: Path
    extra: str

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / "bin" / "python"

    @property
    def is_complete(self) -> bool:
        """Whether it was made to the end."""
        return (self.folder / _COMPLETE).exists()

    def ensure(self, report: Report | None = None) -> None:
        """Make it, if it is missing.

        Concurrency: processes wait for the one that makes it. Crash: a half-made one has no mark
        of completeness, is never used, and is made anew once its uv has ended. Offline: works
        from uv's cache, if warm.

        Raises:
            ConfigurationError: no suitable Python, or uv is not installed.
            ProcessError: the installation failed; the message holds what uv said last.
        """
        if self.is_complete:
            return
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(self.folder.with_suffix(".lock")) as held:
            if not self.is_complete:
                self._make(report or (lambda _: None), held)

    def _make(self, report: Report, held: int) -> None:
        if self.folder.exists():
            report("Removing a half-made environment")
            shutil.rmtree(self.folder)
        uv = find_uv(self.what, self.extra)
        report(f"Making {self.what}'s environment")
        make: list[str | Path] = [uv, "venv", "--quiet", "--python", _python(uv, self.what)]
        run_uv(self.what, [*make, self.folder], held=held)
        report(f"Installing {self.what} (first time only)")
        run_uv(
            self.what,
            [
                uv, "pip", "install", "--quiet", "--python", self.python, "--require-hashes",
                "--no-deps", "--compile-bytecode", "--requirements", self.lock,
            ],
            held=held,
        )  # fmt: skip
        (self.folder / _COMPLETE).write_text("")


def folder_of(name: str, lock: Path, root: Path | None) -> Path:
    """Return where the environment of a lock is, made or not.

    Args:
        name: What its folder's name starts with.
        lock: Its requirements.
        root: Where environments are kept; the user's cache, when None.
    """
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    kept = root or Path(platformdirs.user_cache_dir("lavra"))
    return kept.expanduser().absolute() / f"{name}-{digest}"


def own_program(name: str) -> str:
    """Return the path of a program of this Python's own environment, or one on the PATH.

    Raises:
        ProcessError: it is not installed.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        raise ProcessError(
            f"The program {name} is not installed.",
            remedy="Install lavra[all]; see `lavra doctor`.",
        )
    return found


def find_uv(what: str, extra: str) -> str:
    """Return uv's program.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        from uv import find_uv_bin  # noqa: PLC0415 - only needed to make an environment
    except ImportError:
        found = shutil.which("uv")
        if found:
            return found
        raise ConfigurationError(
            f"uv, which installs {what}, is not there.", remedy=f"Install lavra[{extra}]."
        ) from None
    return str(find_uv_bin())


def run_uv(
    what: str, command: list[str | Path], *, given: str = "", held: int | None = None
) -> None:
    """Run uv to its end, with ``given`` on its standard input.

    Args:
        what: What it installs, for people.
        command: The program and its arguments.
        given: Its standard input.
        held: A lock's descriptor, which uv holds too: should we be killed, whoever comes next
            waits until uv, which goes on, no longer writes.

    Raises:
        ProcessError: it failed; the message holds what it said last.
    """
    done = subprocess.run(
        [str(part) for part in command], input=given, capture_output=True, text=True, check=False,
        pass_fds=[] if held is None else [held],
    )  # fmt: skip
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise ProcessError(
            f"{what}'s environment cannot be made: {said}",
            remedy="Check the network and the disk, then try again; nothing half-made is used.",
        )


@contextmanager
def exclusive(path: Path) -> Iterator[int]:
    """Hold a file's lock against other processes; gives its descriptor."""
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def _python(uv: str, what: str) -> str:
    """Return the Python to make the environment from: our own, if it is the right one."""
    if sys.version_info[:2] == PYTHON_VERSION:
        return str(getattr(sys, "_base_executable", sys.executable))
    wanted = ".".join(map(str, PYTHON_VERSION))
    found = subprocess.run(
        [uv, "python", "find", "--no-project", wanted], capture_output=True, text=True, check=False
    )
    if found.returncode != 0 or not found.stdout.strip():
        raise ConfigurationError(
            f"{what} needs Python {wanted}, and this machine has none "
            f"(this is {sys.version_info[0]}.{sys.version_info[1]}).",
            remedy=f"Install it, for example with `uv python install {wanted}`.",
        )
    return found.stdout.strip()
