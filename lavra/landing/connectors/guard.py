"""Stands between a run and its connector: when the run dies, so does all that it started.

Run as a program: ``python guard.py COMMAND...``, in a session of its own. Its standard input is a
pipe whose other end the run holds and never writes to; the pipe ends with the run, however that
dies. Its exit status is the command's, 128 and more for a signal, as a shell has it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def _watch() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_watch, daemon=True).start()
    # The files of configuration, catalog and state are descriptors that the connector inherits.
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, close_fds=False)
    code = child.wait()
    sys.exit(code if code >= 0 else 128 - code)
