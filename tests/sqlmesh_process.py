"""Runs ``sqlmesh`` command lines that arrive as JSON lines on standard input.

Options beside ``arguments``: ``kill_at``, a step at which the process kills itself as ``kill -9``
does; ``pause_s``, how long a DELETE waits before the INSERT that follows it (to widen the gap in
which another writer does harm); ``lock``, false to work without the write lock.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

from click.testing import CliRunner
from sqlmesh.cli.main import cli
from sqlmesh.core.engine_adapter.duckdb import DuckDBEngineAdapter
from sqlmesh.core.snapshot.evaluator import SnapshotEvaluator
from sqlmesh.core.state_sync.cache import CachingStateSync
from sqlmesh.core.state_sync.db.facade import EngineAdapterStateSync

from lavra.modeling import context as lake_context
from lavra.releases import ledger
from lavra.releases.write_lock import WriteSession
from tests.lake_project import replace_landing

STEPS = {
    "delete": (DuckDBEngineAdapter, "delete_from", "after"),
    "insert": (SnapshotEvaluator, "audit", "before"),
    "audit": (CachingStateSync, "add_snapshots_intervals", "before"),
    "interval": (ledger, "finish", "before"),
    "evaluated": (lake_context, "make_release", "before"),
    "promote": (EngineAdapterStateSync, "finalize", "before"),
}


def kill_at(step: str, table: str) -> Any:
    """Patch the step so that the process dies there, when it concerns ``table``."""
    owner, name, when = STEPS[step]
    original = getattr(owner, name)

    def dying(*args: Any, **kwargs: Any) -> Any:
        # A table is named in some places by its model, in others by its physical name.
        if table not in f"{args} {kwargs}".replace('"."', "__"):
            return original(*args, **kwargs)
        if when == "after":
            original(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    return mock.patch.object(owner, name, dying)


def pausing(seconds: float) -> Any:
    """Patch DELETE to wait after it."""
    original: Callable[..., Any] = DuckDBEngineAdapter.delete_from

    def slow(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        time.sleep(seconds)

    return mock.patch.object(DuckDBEngineAdapter, "delete_from", slow)


@contextmanager
def no_lock(catalog: Any, *_: Any, **__: Any) -> Iterator[WriteSession]:
    """Stand in for the write lock and hold nothing."""
    with catalog.connect(autocommit=True) as connection:
        yield WriteSession(connection, 0)


def serve(root: Path) -> None:
    """Run what arrives until standard input closes."""
    out = sys.stdout
    replace_landing(root)
    print(json.dumps({"event": "ready"}), file=out, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        with ExitStack() as stack:
            if request.get("kill_at"):
                stack.enter_context(kill_at(request["kill_at"], request.get("table", "")))
            if request.get("pause_s"):
                stack.enter_context(pausing(request["pause_s"]))
            if request.get("lock") is False:
                stack.enter_context(mock.patch.object(lake_context, "write_lock", no_lock))
                stack.enter_context(
                    mock.patch.object(lake_context, "read_generation", return_value=0)
                )
            stack.enter_context(redirect_stdout(io.StringIO()))
            result = CliRunner().invoke(
                cli, ["-p", str(root / "sqlmesh_project"), *request["arguments"]]
            )
        output = result.output
        if result.exception and not isinstance(result.exception, SystemExit):
            output += repr(result.exception)
        answer = {"event": "done", "code": result.exit_code, "output": output}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
