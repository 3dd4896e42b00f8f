"""The parent of the engine processes: it has imported DataFusion once, and forks when told.

Importing DataFusion takes seconds, a fork takes milliseconds, so a killed engine is replaced at
once. The zygote runs no query and starts no thread of its own. It obeys one socket:

- ``fork`` (with the engine's end of its socket attached): answers the process id;
- ``kill <pid>``: kills it for good, waits for it, and answers its exit status.

Only the zygote reaps its children, so a process id is never another process's. When the socket
closes, because the front ended or was killed, it kills every engine and exits. On Linux its own
death is the death of every engine as well, so that none is left that nobody can kill.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import signal
import socket
import sys
from dataclasses import replace

from query_service.engine import worker
from query_service.engine.executor import ExecutorOptions

MESSAGE_BYTES = 4096

PR_SET_PDEATHSIG = 1
"""Of prctl(2): the signal that a process gets when its parent dies."""


def main() -> None:
    """Serve the socket whose descriptor is the first argument, with the options of the second."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group
    control = socket.socket(fileno=int(sys.argv[1]))
    options = ExecutorOptions(**json.loads(sys.argv[2]))
    gc.collect()
    gc.freeze()  # the children's collections then leave the shared pages alone
    children: set[int] = set()
    ended: dict[int, int] = {}
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 1)
        if not message:
            break
        command, _, argument = message.decode().partition(" ")
        if command == "fork":
            pid = _fork(control, descriptors[0], options)
            children.add(pid)
            ended.pop(pid, None)
            control.send(str(pid).encode())
        else:
            pid = int(argument)
            if pid in children:
                children.discard(pid)
                ended[pid] = _kill(pid)
            # Asked twice, it must not kill whoever has the process id by then.
            control.send(str(ended.get(pid, 0)).encode())
    for pid in children:
        _kill(pid)


def _fork(control: socket.socket, descriptor: int, options: ExecutorOptions) -> int:
    pid = os.fork()
    if pid:
        os.close(descriptor)
        return pid
    status = 1
    try:
        _die_with_parent()
        control.close()
        worker.serve(socket.socket(fileno=descriptor), own_options(options, os.getpid()))
        status = 0
    finally:
        os._exit(status)  # without the parent's exit handlers


def own_options(options: ExecutorOptions, pid: int) -> ExecutorOptions:
    """Return the options of one engine: all engines' but for its own spill folder."""
    return replace(options, spill_folder=f"{options.spill_folder}/{pid}")


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _kill(pid: int) -> int:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return 0
