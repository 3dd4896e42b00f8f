"""Errors as ``application/problem+json``, in one shape for every route."""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.responses import Response

from lavra import errors
from lavra.errors import LavraError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1


def _all_kinds(base: type[LavraError]) -> dict[str, type[LavraError]]:
    found = {base.code: base}
    for kind in base.__subclasses__():
        found |= _all_kinds(kind)
    return found


KINDS = _all_kinds(LavraError) | {LavraError.code: LavraError}
"""Every class of the error tree by its code."""


def error_of(code: str, message: str, remedy: str | None = None) -> LavraError:
    """Return the error that a code names."""
    return KINDS.get(code, LavraError)(message, remedy=remedy)


def problem_body(error: LavraError, query_id: str | None = None) -> dict[str, Any]:
    """Return the body of RFC 9457 for an error."""
    kind = type(error)
    title = re.sub(r"(?<!^)(?=[A-Z])", " ", kind.__name__).capitalize()
    return {
        "type": f"urn:lavra:problem:{error.code}",
        "title": "Internal error" if kind is LavraError else title,
        "status": error.status,
        "detail": str(error),
        "code": error.code,
        "query_id": query_id,
        "retryable": error.retryable,
    }


def problem_response(error: LavraError, query_id: str | None = None) -> Response:
    """Return the response for an error."""
    headers = {"X-Lavra-Query-Id": query_id} if query_id else {}
    if isinstance(error, errors.TooManyQueries | errors.NotReady):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    return Response(
        json.dumps(problem_body(error, query_id), ensure_ascii=False).encode(),
        status_code=error.status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )
