"""What the OpenAPI document says of ``/v1/sql``, which reads its body and writes by itself."""

from __future__ import annotations

from typing import Any

from query_service.formats import MEDIA_TYPES
from query_service.requests import SqlRequest

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "query_id", "retryable"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "example": "invalid_sql"},
        "query_id": {"type": ["string", "null"]},
        "retryable": {"type": "boolean"},
    },
}
_ERRORS = {
    400: "The SQL does not parse or plan.",
    403: "The statement does not only read.",
    404: "No such table, environment or snapshot.",
    422: "The request is malformed.",
    429: "Too many queries; try again after Retry-After seconds.",
    499: "The query was cancelled.",
    500: "Something unforeseen.",
    503: "No release is loaded yet.",
    504: "The query ran past its time limit.",
    507: "The query needed more memory than it may use.",
}
_ANSWER = {
    "type": "object",
    "required": [
        "query_id", "columns", "rows", "row_count", "truncated", "snapshot", "elapsed_ms", "cached",
    ],
    "example": {
        "query_id": "5f0c8e2a9d3b4c61a7e8f90112233445",
        "columns": [
            {"name": "order_date", "type": "date32[day]"},
            {"name": "net_revenue", "type": "decimal128(18, 2)"},
        ],
        "rows": [["2026-01-01", "1523.40"]],
        "row_count": 1,
        "truncated": False,
        "snapshot": {
            "id": "12",
            "released_at": "2026-01-02T03:00:00Z",
            "data_through": "2026-01-02T00:00:00Z",
        },
        "elapsed_ms": 2.1,
        "cached": False,
    },
}  # fmt: skip


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that may fail with these statuses."""
    return {
        status: {
            "description": _ERRORS[status],
            "content": {"application/problem+json": {"schema": PROBLEM}},
        }
        for status in statuses
    }


def _answers() -> dict[int | str, dict[str, Any]]:
    content: dict[str, Any] = {
        media.split(";")[0]: {"schema": {"type": "string", "format": "binary"}}
        for media in MEDIA_TYPES.values()
    }
    content["application/json"] = {"schema": _ANSWER}
    return {200: {"description": "The answer.", "content": content}, **problem_responses(*_ERRORS)}


def _parameter(name: str, schema: dict[str, Any], text: str, *, required: bool = False) -> Any:
    return {
        "name": name, "in": "query", "required": required, "schema": schema, "description": text,
    }  # fmt: skip


SQL_DOCS: dict[str, Any] = {
    "responses": _answers(),
    "response_model": None,
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": SqlRequest.model_json_schema()}},
        }
    },
}

GET_SQL_DOCS: dict[str, Any] = {
    "responses": {
        **_answers(),
        304: {"description": "The answer that If-None-Match names is still right."},
    },
    "response_model": None,
    "openapi_extra": {
        "parameters": [
            _parameter("query", {"type": "string", "minLength": 1}, "The SQL.", required=True),
            _parameter("parameters", {"type": "string"}, "Values of the placeholders, as JSON."),
            _parameter("environment", {"type": "string"}, "The SQLMesh environment."),
            _parameter("snapshot", {"type": "string"}, "A retained release."),
            _parameter("row_limit", {"type": "integer", "minimum": 0}, "Most rows to answer."),
            _parameter("timeout_s", {"type": "number"}, "Time limit in seconds."),
        ]
    },
}
