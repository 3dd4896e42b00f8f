"""The front's end of the zygote: forks engines and kills them, one question at a time."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import subprocess
from collections.abc import Coroutine
from dataclasses import asdict

from lavra.errors import ProcessError
from query_service.engine.executor import ExecutorOptions
from query_service.lean_process import lean_command

logger = logging.getLogger("query_service")

ANSWER_BYTES = 64


class ZygoteClient:
    """The parent process of all engines, started again if it dies.

    Every answer is waited for, even if who asked has gone: the next one would take it for its own.
    With the parent every engine dies, so a new one knows nothing of the old one's engines.
    """

    def __init__(self, options: ExecutorOptions) -> None:
        self._options = options
        self._lock = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process id, or None while there is none."""
        return self._process.pid if self._process else None

    async def fork(self, connection: socket.socket) -> tuple[int, int | None]:
        """Fork an engine that obeys ``connection``; return its process id and its parent's.

        Raises:
            ProcessError: there is no parent process and none can be started, or it ended.
        """
        descriptor = os.dup(connection.fileno())  # whatever the caller does with its own
        answer = await self._finish(self._ask("fork", descriptor))
        return int(answer), self.pid

    async def kill(self, pid: int) -> int:
        """Kill an engine, unless it is gone already, and return its exit status.

        0 if the parent that could have told it has died, and the engine with it.
        """
        try:
            return int(await self._finish(self._ask(f"kill {pid}")))
        except ProcessError:
            return 0

    async def close(self) -> None:
        """End the parent process and every engine; nothing can be asked of it afterwards."""
        self._closed = True
        async with self._lock:
            await self._stop()

    async def _finish(self, question: Coroutine[None, None, bytes]) -> bytes:
        return await asyncio.shield(asyncio.create_task(question))

    async def _ask(self, text: str, descriptor: int | None = None) -> bytes:
        try:
            async with self._lock:
                if self._control is None and descriptor is not None and not self._closed:
                    await self._start()
                control = self._control
                if control is None:
                    raise ProcessError("The engines are not running.")
                try:
                    answer = await asyncio.to_thread(_exchange, control, text, descriptor)
                except OSError:
                    answer = b""
                if not answer:
                    logger.error("the engines' parent process %s ended", self.pid)
                    await self._stop()
                    raise ProcessError("The engines' parent process ended.")
                return answer
        finally:
            if descriptor is not None:
                os.close(descriptor)

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = await asyncio.to_thread(
                    subprocess.Popen,
                    lean_command(
                        "query_service.engine.zygote",
                        str(theirs.fileno()),
                        json.dumps(asdict(self._options)),
                    ),
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
            except OSError as error:
                ours.close()
                raise ProcessError(f"The engines do not start: {error}.") from error
        self._control = ours

    async def _stop(self) -> None:
        if self._control:
            self._control.close()
            self._control = None
        if self._process:
            await asyncio.to_thread(self._process.wait)
            self._process = None


def _exchange(control: socket.socket, text: str, descriptor: int | None) -> bytes:
    if descriptor is None:
        control.send(text.encode())
    else:
        socket.send_fds(control, [text.encode()], [descriptor])
    return control.recv(ANSWER_BYTES)
