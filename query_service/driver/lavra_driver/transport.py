"""HTTP to the service: one pool per connection, errors as PEP 249's, bodies as streams."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from lavra_driver.exceptions import (
    DatabaseError,
    InterfaceError,
    InternalError,
    OperationalError,
    from_problem,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import urllib3

ARROW_STREAM = "application/vnd.apache.arrow.stream"
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_LONGEST_WAIT_S = 10.0


@dataclass(frozen=True)
class Endpoint:
    """Where the service is and how to speak to it.

    Attributes:
        url: ``http://host:port`` or ``https://...``, without a trailing slash.
        credential: API key or bearer token, sent as ``Authorization: Bearer``; never printed. A
            function is asked for one at each request.
        identity: A function that returns the identity token which Cloud Run asks for before the
            request reaches the service. It is the service's credential too when there is no other.
        timeout_s: Longest silence of the service that is put up with, in seconds; None waits
            for ever.
        connect_timeout_s: Longest wait for the connection itself, in seconds.
        retries: How often a call is made again, at most, when the service's error says that it
            may succeed.
        ca_file: Certificates to trust instead of the system's.
        verify: Whether the service's certificate is checked.
        headers: Further headers of every call.
        pool_size: Connections kept open, one for each thread that queries at a time.
        share_pool: Whether they are those of every such endpoint of this process to the same
            service, and stay open when this one is closed.
    """

    url: str
    credential: str | Callable[[], str] | None = field(default=None, repr=False)
    identity: Callable[[], str] | None = field(default=None, repr=False)
    timeout_s: float | None = None
    connect_timeout_s: float = 10.0
    retries: int = 3
    ca_file: str | None = None
    verify: bool = True
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    pool_size: int = 8
    share_pool: bool = False


class Transport:
    """Calls to one service. Threads may share it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        return _shared_pool(self.endpoint) if self.endpoint.share_pool else _pool_of(self.endpoint)

    def close(self) -> None:
        """Close every idle connection, unless others share them."""
        if "_pool" in self.__dict__ and not self.endpoint.share_pool:
            self._pool.clear()

    def query(
        self, body: Mapping[str, Any], *, query_id: str, timeout_s: float | None
    ) -> urllib3.HTTPResponse:
        """Send one query and return the answer, its body (an Arrow stream) not yet read.

        Raises:
            DatabaseError: the service refused, or cannot be reached.
        """
        headers = {"Accept": ARROW_STREAM, "X-Lavra-Query-Id": query_id}
        return self._call("POST", "/v1/sql", headers, body=body, timeout_s=timeout_s)

    def get_json(self, path: str, **query: str | None) -> Any:
        """Return the decoded body of a GET of a path (its parts quoted by :func:`path_of`)."""
        given = {name: value for name, value in query.items() if value is not None}
        target = f"{path}?{urlencode(given)}" if given else path
        return self._read_json(self._call("GET", target, {"Accept": "application/json"}))

    def get_tag(self, path: str) -> str:
        """Return the ``ETag`` of what a GET would answer, without its being made.

        Raises:
            InternalError: it has none.
        """
        headers = {"Accept": "application/json", "If-None-Match": "*"}
        response = self._call("GET", path, headers)
        response.drain_conn()
        if tag := response.headers.get("ETag"):
            return tag
        raise InternalError(f"{self.endpoint.url} gave its answer no tag; is it Lavra's service?")

    def post_json(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the decoded JSON answer to a JSON body."""
        return self._read_json(self._call("POST", path, {"Accept": "application/json"}, body=body))

    def cancel(self, query_id: str) -> bool:
        """Ask the service to stop a query; False when it does not know it (any more)."""
        try:
            answer = self._read_json(
                self._call("DELETE", path_of("v1", "queries", query_id), {}, retries=0)
            )
        except DatabaseError as error:
            if error.status == 404:
                return False
            raise
        return bool(answer.get("cancelled", True))

    def _call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        body: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
        retries: int | None = None,
    ) -> urllib3.HTTPResponse:
        left = self.endpoint.retries if retries is None else retries
        wait_s = 0.1
        while True:
            try:
                return self._once(method, path, headers, body, timeout_s)
            except DatabaseError as error:  # noqa: PERF203 - that is what the loop is for
                if not error.retryable or left <= 0:
                    raise
                time.sleep(min(error.retry_after_s or wait_s, _LONGEST_WAIT_S))
                left, wait_s = left - 1, wait_s * 2

    def _once(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None,
        timeout_s: float | None,
    ) -> urllib3.HTTPResponse:
        import urllib3

        endpoint = self.endpoint
        sent = {**self._own_headers(), **headers}
        options: dict[str, Any] = {}
        if body is not None:
            sent["Content-Type"] = "application/json"
            options["body"] = json.dumps(body, allow_nan=False).encode()
        if timeout_s is not None:
            options["timeout"] = urllib3.Timeout(connect=endpoint.connect_timeout_s, read=timeout_s)
        url = endpoint.url + path
        for attempt in (0, 1):
            try:
                response = self._pool.request(
                    method, url, headers=sent, preload_content=False, redirect=False, **options
                )
                break
            except urllib3.exceptions.ProtocolError as error:
                # A kept connection that the service closed meanwhile; every call here is a read.
                if attempt:
                    raise OperationalError(
                        f"{endpoint.url} broke off: {error}", retryable=True
                    ) from error
            except urllib3.exceptions.LocationParseError as error:
                raise InterfaceError(f"{endpoint.url!r} is not a URL: {error}") from error
            except urllib3.exceptions.HTTPError as error:
                raise self._unreachable(error) from error
        if response.status >= 300 and response.status != 304:
            raise _refusal(response)
        return response  # type: ignore[return-value]

    def _own_headers(self) -> dict[str, str]:
        endpoint = self.endpoint
        sent = {"User-Agent": "lavra-driver", **endpoint.headers}
        credential = endpoint.credential
        if endpoint.identity:
            # Cloud Run reads this header in place of the other, which it passes on as it is.
            token = endpoint.identity()
            sent["X-Serverless-Authorization"] = f"Bearer {token}"
            credential = credential or token
        if credential:
            shown = credential if isinstance(credential, str) else credential()
            sent["Authorization"] = f"Bearer {shown}"
        return sent

    def _unreachable(self, error: Exception) -> OperationalError:
        import urllib3

        if isinstance(error, urllib3.exceptions.ReadTimeoutError):
            return OperationalError(f"{self.endpoint.url} did not answer in time")
        return OperationalError(
            f"cannot reach {self.endpoint.url}: {getattr(error, 'reason', None) or error}"
        )

    def _read_json(self, response: urllib3.HTTPResponse) -> Any:
        import urllib3

        try:
            return json.loads(response.data)
        except ValueError as error:
            raise InternalError(
                f"{self.endpoint.url} answered something that is not JSON; is it Lavra's service?"
            ) from error
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from error


def _pool_of(endpoint: Endpoint) -> urllib3.PoolManager:
    import urllib3

    options: dict[str, Any] = {}
    if endpoint.url.startswith("https://"):
        options["cert_reqs"] = "CERT_REQUIRED" if endpoint.verify else "CERT_NONE"
        if endpoint.ca_file:
            options["ca_certs"] = endpoint.ca_file
    return urllib3.PoolManager(
        maxsize=endpoint.pool_size,
        timeout=urllib3.Timeout(connect=endpoint.connect_timeout_s, read=endpoint.timeout_s),
        retries=False,
        **options,
    )


_shared_pools: dict[tuple[Any, ...], urllib3.PoolManager] = {}


def _shared_pool(endpoint: Endpoint) -> urllib3.PoolManager:
    """Return this process's pool for a service and a way to trust and wait for it.

    Who asks is said by the headers of each request, never by a connection. A process that was
    forked does not take its parent's connections.
    """
    key = (
        os.getpid(), endpoint.url, endpoint.verify, endpoint.ca_file, endpoint.timeout_s,
        endpoint.connect_timeout_s, endpoint.pool_size,
    )  # fmt: skip
    return _shared_pools.get(key) or _shared_pools.setdefault(key, _pool_of(endpoint))


class BodyReader:
    """A response's body as the file that pyarrow reads: no short reads, errors as PEP 249's.

    It knows whether the stream's end marker was the last thing read, because a connection that
    broke off looks, to pyarrow, like the end of the result.
    """

    def __init__(self, response: urllib3.HTTPResponse) -> None:
        self._response = response
        self._tail = b""
        self.closed = False

    @property
    def is_complete(self) -> bool:
        """Whether the Arrow stream's end marker came."""
        return self._tail.endswith(_END_OF_STREAM)

    def read(self, size: int = -1) -> bytes:
        """Return ``size`` bytes, fewer only at the end of the body."""
        import urllib3

        try:
            data = self._response.read(size) if size >= 0 else self._response.read()
            while 0 <= len(data) < size:
                more = self._response.read(size - len(data))
                if not more:
                    break
                data += more
        except urllib3.exceptions.ReadTimeoutError as error:
            raise OperationalError("the service stopped sending the result") from error
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as error:
            # The last two are what a response closed by another thread (cancel) raises.
            raise OperationalError(f"the result broke off: {error}", retryable=True) from error
        self._tail = (self._tail + data[-8:])[-8:]
        return data

    def finish(self) -> None:
        """Read what is left, so that the connection can be used again."""
        while self.read(65536):
            pass
        self._response.release_conn()
        self.closed = True

    def close(self) -> None:
        """Drop the connection: the service takes that as a wish to cancel."""
        if not self.closed:
            self.closed = True
            self._response.close()
            self._response.release_conn()


def path_of(*parts: str) -> str:
    """Join parts to an absolute path, each quoted as one."""
    return "".join("/" + quote(part, safe="") for part in parts)


def _refusal(response: urllib3.BaseHTTPResponse) -> DatabaseError:
    """Turn an answer that is no success into an exception, whatever its body is."""
    import urllib3

    try:
        problem = json.loads(response.data)
    except (ValueError, urllib3.exceptions.HTTPError):
        problem = None
    finally:
        response.release_conn()
    if not isinstance(problem, dict):
        # A proxy's page, or not our service at all.
        return OperationalError(
            f"HTTP {response.status} without an explanation; is this Lavra's service?",
            status=response.status,
            retryable=response.status in {502, 503},
        )
    return from_problem(problem, response.status, _seconds(response.headers.get("Retry-After")))


def _seconds(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:  # a date: the driver's own waiting time will do
        return None
