"""What the OpenAPI document says of the routes: media types, headers, every error, examples."""

from __future__ import annotations

from typing import Any

from lavra import errors
from lavra.errors import LavraError
from query_service.documents import Problem, SqlAnswer
from query_service.formats import MEDIA_TYPES
from query_service.problems import MEDIA_TYPE, problem_body
from query_service.requests import SqlRequest

_ERRORS: tuple[LavraError, ...] = (
    errors.InvalidSql("No field named nope."),
    errors.Unauthenticated("This service asks for a key."),
    errors.StatementNotAllowed("Only one statement that reads is allowed."),
    errors.Forbidden("This key may not query dev."),
    errors.UnknownTable("There is no table gold_commerce.nope."),
    errors.UnknownSnapshot("There is no release '99'."),
    errors.UnknownEnvironment("There is no environment 'nope' with a release."),
    errors.InvalidRequest("row_limit: Input should be greater than or equal to 0."),
    errors.TooManyQueries("200 queries are waiting already.", remedy="Try again in a moment."),
    errors.QueryCancelled("The query was cancelled."),
    LavraError("Something unforeseen happened.", remedy="The log has it under the query's id."),
    errors.NotReady("No release of 'prod' is loaded yet."),
    errors.CatalogUnavailable("The catalog cannot be reached."),
    errors.QueryTimeout("The query ran past its time limit."),
    errors.ResourcesExhausted("The query needed more memory than one query may use."),
)
"""One of each error that a caller may see."""

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_ID = "5f0c8e2a9d3b4c61a7e8f90112233445"
_NDJSON = '{"order_date":"2026-01-01","net_revenue":"1523.40"}\n'
_CSV = "order_date,net_revenue\r\n2026-01-01,1523.40\r\n"
_ANSWER = {
    "query_id": _ID,
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
}


def problems(*kinds: type[LavraError]) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that may fail in these ways."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for error in _ERRORS:
        if type(error) not in kinds:
            continue
        known = by_status.setdefault(
            error.status,
            {"description": "", "content": {MEDIA_TYPE: {"schema": _PROBLEM, "examples": {}}}},
        )
        summary = (type(error).__doc__ or "").strip()
        known["description"] = f"{known['description']} `{error.code}`: {summary}".strip()
        known["content"][MEDIA_TYPE]["examples"][error.code] = {
            "summary": summary, "value": problem_body(error, _ID),
        }  # fmt: skip
    for status, response in by_status.items():
        if status in {429, 503}:
            response["headers"] = {
                "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}
            }
    return by_status


_GUARDED = (errors.Unauthenticated, errors.Forbidden, LavraError)
_OF_RELEASE = (*_GUARDED, errors.UnknownEnvironment, errors.InvalidRequest, errors.NotReady)

GUARDED = problems(*_GUARDED)
"""Failures of any route that asks who is there."""
OF_QUERY = problems(*_GUARDED, errors.InvalidRequest)
"""Failures of a route that names a query."""
OF_RELEASE = problems(*_OF_RELEASE)
"""Failures of a route that reads an environment's release."""
OF_TABLE = problems(*_OF_RELEASE, errors.UnknownTable)
"""Failures of a route that reads one table of it."""
OF_REFRESH = problems(*_OF_RELEASE, errors.CatalogUnavailable)
"""Failures of a route that reads the catalog first."""
OF_READINESS = problems(errors.NotReady)
"""Failures of the probe."""


def _answers() -> dict[int | str, dict[str, Any]]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    text = {"type": "string"}
    content: dict[str, Any] = {media.split(";")[0]: binary for media in MEDIA_TYPES.values()}
    content["application/json"] = {
        "schema": {"$ref": "#/components/schemas/SqlAnswer"}, "example": _ANSWER,
    }  # fmt: skip
    content["application/x-ndjson"] = {"schema": text, "example": _NDJSON}
    content["text/csv"] = {"schema": text, "example": _CSV}
    headers = {
        name: {"schema": {"type": kind}, "description": description, "required": required}
        for name, kind, description, required in (
            ("X-Lavra-Query-Id", "string", "The query's id.", True),
            ("X-Lavra-Snapshot", "string", "The release it is answered from.", True),
            ("X-Lavra-Data-Through", "string", "The earliest over the tables read.", True),
            ("X-Lavra-Cache", "string", "`hit` or `miss`.", True),
            ("X-Lavra-Row-Count", "integer", "Rows; of short answers only.", False),
            ("X-Lavra-Truncated", "boolean", "As in JSON; of short answers only.", False),
        )
    }
    return {
        200: {"description": "The answer.", "content": content, "headers": headers},
        **problems(*(type(error) for error in _ERRORS)),
    }


def _parameter(name: str, schema: dict[str, Any], text: str, where: str = "query") -> Any:
    return {
        "name": name, "in": where, "required": name == "query", "schema": schema,
        "description": text,
    }  # fmt: skip


def _field(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = SqlRequest.model_json_schema()["properties"][name]
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    return {key: value for key, value in kinds[0].items() if key not in {"title", "default"}}


_HEADERS = [
    _parameter(
        "X-Lavra-Query-Id", {"type": "string", "pattern": "^[A-Za-z0-9_-]{8,64}$"},
        "The id that the query shall have.", "header",
    ),
    _parameter("traceparent", {"type": "string"}, "The caller's span (W3C).", "header"),
]  # fmt: skip

SQL_DOCS: dict[str, Any] = {
    "responses": _answers(),
    "response_model": None,
    "tags": ["queries"],
    "openapi_extra": {
        "parameters": _HEADERS,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": SqlRequest.model_json_schema()}},
        },
    },
}

GET_SQL_DOCS: dict[str, Any] = {
    "responses": {
        **_answers(),
        304: {"description": "The answer that If-None-Match names is still right."},
    },
    "response_model": None,
    "tags": ["queries"],
    "openapi_extra": {
        "parameters": [
            *_HEADERS,
            _parameter("If-None-Match", {"type": "string"}, "Tags of answers held.", "header"),
            _parameter("query", _field("sql"), "One statement that reads; a URL ends at 64 KiB."),
            _parameter(
                "parameters",
                {"type": "string", "contentMediaType": "application/json", "examples": ["[5]"]},
                "Values of the placeholders, as JSON: a list or an object.",
            ),
            *(
                _parameter(name, _field(name), SqlRequest.model_fields[name].description or "")
                for name in ("environment", "snapshot", "row_limit", "timeout_s")
            ),
        ]
    },
}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Add what the routes' documentation refers to by name."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for model in (Problem, SqlAnswer):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    return document
