"""A connector's process: its lines, its log, and its end."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO
from urllib.parse import quote

from lavra.errors import ProcessError, SourceError

MAX_LINE_BYTES = 512 * 1024 * 1024
"""A longer record is no record: memory would run out before it ended."""

_CHUNK_BYTES = 1024 * 1024
_LOG_BYTES = 64 * 1024 * 1024
_GUARD = Path(__file__).with_name("guard.py")
_INHERITED = (
    "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
)  # fmt: skip
"""What a connector sees of our environment: never the lake's own keys."""


class ConnectorHung(SourceError):
    """The connector said nothing for too long."""


class Mask:
    """Hides secrets in what a connector says.

    Args:
        secrets: The values; short ones cannot be told from ordinary text and are left.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms: set[str] = set()
        for secret in secrets:
            # A private key has many lines, each of which may be logged by itself.
            for part in {secret, *secret.splitlines()}:
                forms |= {part, quote(part, safe=""), part.replace('"', '\\"')}
        kept = sorted((form for form in forms if len(form) >= 4), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, kept))) if kept else None

    def __call__(self, text: str) -> str:
        """Return the text without the secrets."""
        return self._pattern.sub("****", text) if self._pattern else text


class ConnectorLog:
    """A connector's log: a file, masked and bounded, and its last lines for a message."""

    def __init__(self, path: Path, mask: Mask) -> None:
        self.path, self.mask = path, mask
        self.last: deque[str] = deque(maxlen=10)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.replace(path.with_suffix(".previous.log"))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", errors="replace")
        self._left = _LOG_BYTES
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        """Add what the connector said; lines past the file's bound are only kept for messages."""
        masked = self.mask(text)[:100_000]
        with self._lock:
            self.last.append(masked[:500])
            if self._left > 0:
                self._left -= len(masked) + 1
                self._file.write(f"{masked}\n")
                self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()


class ConnectorProcess:
    """A running connector; a context manager that ends it, and all that it started.

    Args:
        command: The program and its verb: ``[".../source-faker", "read"]``.
        files: Contents by option: ``{"--config": b"{...}"}``. They never touch the disk where the
            system can do without (Linux).
        log: Takes its standard error.
        silence_s: Seconds without output after which it counts as hung.
        cwd: Where it runs; an empty folder of its own, when None.
    """

    def __init__(
        self,
        command: Sequence[str],
        files: Mapping[str, bytes],
        *,
        log: ConnectorLog,
        silence_s: float,
        cwd: Path | None = None,
    ) -> None:
        self._log, self._silence_s = log, silence_s
        self._open = contextlib.ExitStack()
        home = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="lavra-")))
        arguments, descriptors = [], []
        for option, content in files.items():
            path, descriptor = self._hidden(home, option, content)
            arguments += [option, path]
            descriptors += [descriptor] if descriptor is not None else []
        kept = {name: value for name, value in os.environ.items() if name in _INHERITED}
        try:
            self._popen = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_GUARD), *command, *arguments],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                cwd=cwd or home, start_new_session=True, pass_fds=descriptors, bufsize=0,
                env=kept | {"HOME": str(home), "PYTHONNOUSERSITE": "1"},
            )  # fmt: skip
        except OSError as error:
            self._open.close()
            raise ProcessError(f"Cannot run {command[0]}: {error.strerror or error}.") from error
        self._stderr = threading.Thread(target=self._drain, daemon=True)
        self._stderr.start()

    def __enter__(self) -> ConnectorProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
        self._stderr.join(timeout=5)
        for stream in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            if stream:
                stream.close()
        self._open.close()

    def end(self) -> None:
        """Kill it and all that it started; safe to call twice."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()

    def wait(self) -> int:
        """Return its exit status, once its output has ended; 128 and more for a signal.

        Raises:
            ConnectorHung: it closed its output and goes on all the same.
        """
        try:
            code = self._popen.wait(timeout=self._silence_s)
        except subprocess.TimeoutExpired as error:
            raise self._hung() from error
        return code if code >= 0 else 128 - code

    def lines(self) -> Iterator[list[bytes]]:
        """Yield its output as it comes, some lines at a time.

        Nothing is read while the caller is busy: a connector that is faster than the landing
        waits at its full pipe.

        Raises:
            ConnectorHung: no output came for ``silence_s``.
            SourceError: a line is longer than any record may be.
        """
        assert self._popen.stdout is not None  # noqa: S101 - for mypy: a pipe
        descriptor = self._popen.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
        parts: list[bytes] = []
        size = 0
        while True:
            if not poll.poll(self._silence_s * 1000):
                raise self._hung()
            chunk = os.read(descriptor, _CHUNK_BYTES)
            if not chunk:
                break
            lines = chunk.split(b"\n")
            if len(lines) > 1:
                lines[0] = b"".join([*parts, lines[0]])
                parts, size = [], 0
                yield lines[:-1]
            parts.append(lines[-1])
            size += len(lines[-1])
            if size > MAX_LINE_BYTES:
                raise SourceError(
                    f"The connector wrote a line of more than {MAX_LINE_BYTES >> 20} MiB.",
                    remedy="Leave out the field that is so large, with the stream's options.",
                )
        if size:
            yield [b"".join(parts)]

    def _hung(self) -> ConnectorHung:
        return ConnectorHung(
            f"The connector said nothing for {self._silence_s:.0f} s and was ended.",
            remedy=f"See {self._log.path}; LAVRA_CONNECTOR_SILENCE_S allows it more time.",
        )

    def _hidden(self, home: Path, option: str, content: bytes) -> tuple[str, int | None]:
        if sys.platform == "linux":
            descriptor = os.memfd_create(option.strip("-"), 0)
            self._open.callback(os.close, descriptor)
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(content)
            # By its link, not /dev/fd: each opening starts at the beginning.
            return f"/proc/self/fd/{descriptor}", descriptor
        path = home / f"{option.strip('-')}.json"
        path.write_bytes(content)
        return str(path), None

    def _drain(self) -> None:
        stream: BinaryIO | None = self._popen.stderr  # type: ignore[assignment]
        assert stream is not None  # noqa: S101 - for mypy: a pipe
        rest = b""
        with contextlib.suppress(ValueError, OSError):  # closed at the end
            while chunk := os.read(stream.fileno(), _CHUNK_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                rest = rest[-_CHUNK_BYTES:]
                for line in lines:
                    self._log.write(line.decode("utf-8", "replace"))
        if rest:
            self._log.write(rest.decode("utf-8", "replace"))
