"""PEP 249's exception tree, and its mapping from the service's error codes."""

from __future__ import annotations

from typing import Any


class Warning(Exception):  # noqa: A001 - the name is PEP 249's
    """PEP 249's warning; the service has none today."""


class Error(Exception):
    """Base of every error of this driver.

    Attributes:
        message: What is wrong, as the service or the driver says it.
        code: The service's error code (``unknown_table``); None when the service did not answer.
        status: HTTP status; None when the service did not answer.
        query_id: Id under which the service knows the query, if it got that far.
        retryable: Whether the same call may succeed later without any change.
        retry_after_s: How long the service asked to wait, in seconds.
    """

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        status: int | None = None,
        query_id: str | None = None,
        retryable: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.query_id = query_id
        self.retryable = retryable
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.code else self.message


class InterfaceError(Error):
    """The driver was used wrongly: a closed cursor, a malformed URL."""


class DatabaseError(Error):
    """Base of what the service refuses or fails at."""


class DataError(DatabaseError):
    """A value could not be processed: overflow, division by zero, a bad cast."""


class OperationalError(DatabaseError):
    """The service is away, busy, not ready, out of memory or out of time; or refuses the key."""


class IntegrityError(DatabaseError):
    """Part of PEP 249; a read-only service never raises it."""


class InternalError(DatabaseError):
    """The service failed in a way that is its own fault, or answered out of contract."""


class ProgrammingError(DatabaseError):
    """The SQL, its parameters or a name in it is wrong."""


class NotSupportedError(DatabaseError):
    """The statement is not a read, or asks for what the service does not do."""


ERRORS_BY_CODE: dict[str, type[DatabaseError]] = {
    "invalid_sql": ProgrammingError,
    "statement_not_allowed": NotSupportedError,
    "unauthenticated": OperationalError,
    "forbidden": ProgrammingError,
    "unknown_table": ProgrammingError,
    "unknown_snapshot": OperationalError,
    "unknown_environment": OperationalError,
    "invalid_request": ProgrammingError,
    "too_many_queries": OperationalError,
    "query_timeout": OperationalError,
    "query_cancelled": OperationalError,
    "resources_exhausted": OperationalError,
    "not_ready": OperationalError,
    "internal": InternalError,
}
"""Which exception each code of the service's contract becomes; others go by HTTP status."""


def from_problem(
    problem: dict[str, Any], status: int, retry_after_s: float | None = None
) -> DatabaseError:
    """Return the exception for an ``application/problem+json`` body.

    Args:
        problem: The decoded body; fields of the contract may be missing.
        status: HTTP status of the answer.
        retry_after_s: The Retry-After header, in seconds.
    """
    code = problem.get("code")
    kind = ERRORS_BY_CODE.get(str(code))
    if kind is None:
        kind = InternalError if status == 500 else OperationalError
    return kind(
        str(problem.get("detail") or problem.get("title") or f"HTTP {status}"),
        code=str(code) if code else None,
        status=status,
        query_id=problem.get("query_id"),
        retryable=bool(problem.get("retryable")),
        retry_after_s=retry_after_s,
    )
