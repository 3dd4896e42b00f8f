"""The Postgres servers below a state folder: the catalog's and the domains' sources."""

from __future__ import annotations

from pathlib import Path

import psutil

from lavra.catalog.local_postgres import LocalPostgres


def known_servers(state: Path) -> list[Path]:
    """Return the folders of the servers that were ever started here, the catalog's first."""
    folders = [state / "postgres", *sorted((state / "sources").glob("*"))]
    return [folder for folder in folders if (folder / "users.lock").exists()]


def server_pid(folder: Path) -> int | None:
    """Return the pid of the server of ``folder`` if it runs, without asking the server."""
    try:
        pid = int((folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
        running = psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        return pid if running and "postgres" in psutil.Process(pid).name() else None
    except (OSError, ValueError, psutil.Error):
        return None


def stop_unused_servers(state: Path) -> list[Path]:
    """Stop servers that nobody uses any more, as after a kill; return their folders."""
    stopped = []
    for folder in known_servers(state):
        if server_pid(folder) is None:
            continue
        server = LocalPostgres(folder)
        server.start()  # joins it ...
        server.leave()  # ... and stops it if nobody else is there
        if server_pid(folder) is None:
            stopped.append(folder)
    return stopped
