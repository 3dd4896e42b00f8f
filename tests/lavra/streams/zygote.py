"""Runs a stream in a forked process that can be killed; what takes long is imported once."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading

from lavra.catalog import open_catalog
from lavra.settings import load_settings
from lavra.storage import open_storage
from lavra.streams.declarations import StreamDeclaration
from lavra.streams.maintenance import MaintenanceLimits
from lavra.streams.postgres.source import PostgresStreamSource
from lavra.streams.runner import StreamRunner

# Everything at its smallest, so that a kill meets flushes, merges and expiry too.
BUSY = MaintenanceLimits(
    flush_rows=200, flush_s=0.3, merge_files=3, position_commits=10, expire_s=0.5,
    keep_snapshots_s=0.5,
)  # fmt: skip


def follow(order: dict[str, str]) -> None:
    from pathlib import Path

    logging.basicConfig(filename=order["log"], level="INFO")
    settings = load_settings(Path(order["project"]))
    declaration = StreamDeclaration.model_validate_json(order["declaration"])
    StreamRunner(
        open_catalog(settings), open_storage(settings), declaration,
        lambda: PostgresStreamSource(declaration, order["url"], "test"), limits=BUSY,
    ).run(threading.Event())  # fmt: skip


if __name__ == "__main__":
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            follow(json.loads(line))
            os._exit(1)
        print(pid, flush=True)
        os.waitpid(pid, 0)
        print("dead", flush=True)
