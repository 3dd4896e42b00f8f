"""Runs programs in Superset's Python, each in a fork of a process that has Superset loaded.

    python superset_forks.py

makes Superset's application, prints ``ready``, and reads lines of JSON: ``command`` (a program and
its arguments), ``variables``, ``folder``, ``log``. It answers each with the program's exit status.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any

import superset.app
from superset.extensions import db


def _run(task: dict[str, Any]) -> int:
    """Be the program, in a fork, as if Python had been started for it."""
    log = os.open(task["log"], os.O_WRONLY | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in enumerate((nothing, log, log)):
        os.dup2(source, target)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
    os.environ.update(task["variables"])
    os.chdir(task["folder"])
    script, *arguments = task["command"]
    sys.argv = [script, *arguments]
    sys.path.insert(0, str(Path(script).parent))
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def main() -> None:
    """Run what arrives until standard input closes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    application = superset.app.create_app()
    with application.app_context():
        db.engine.dispose()  # a fork shares no connection
    superset.app.create_app = lambda *_, **__: application
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            status = 1
            try:
                status = _run(json.loads(line))
            except Exception:  # noqa: BLE001 - reported, and by the exit status too
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        _, ended = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(ended), file=answers, flush=True)


if __name__ == "__main__":
    main()
