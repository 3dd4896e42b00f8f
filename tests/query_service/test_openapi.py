"""The service keeps what its OpenAPI document promises, whatever it is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from lavra.errors import LavraError, QueryError
from query_service.formats import MEDIA_TYPES
from tests.query_service.conftest import close_lake, make_lake, serving

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
]
STATEMENTS = [
    "select * from gold_test.t",
    "select id, name from gold_test.t where id = $1",
    "select $it as it",
    "select now()",
    "select 1.5::decimal(9, 2) as d, 'NaN'::double as f, null as n, [1, 2] as l",
    "show tables",
    "explain select 1",
    "select 1 as a, 2 as a",
    "select * from gold_test.nope",
    "drop table gold_test.t",
    "select",
]
OPERATIONS = [
    "get /v1/sql", "post /v1/sql", "get /v1/tables", "get /v1/tables/{schema}/{table}",
    "get /v1/snapshot", "get /v1/environments", "post /v1/refresh", "get /v1/queries",
    "delete /v1/queries/{query_id}", "get /healthz", "get /readyz", "get /metrics",
]  # fmt: skip
ACCEPTED = [*(media.split(";")[0] for media in MEDIA_TYPES.values()), "*/*", "text/html;q=0.5", ""]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    lake = make_lake(tmp_path_factory.mktemp("openapi") / "lake")
    lake.duck.execute("create table lake.gold_test.t as select 1 as id, 'a' as name")
    lake.release()
    lake.release(environment="dev")
    with serving(lake.settings) as opened:
        yield opened
    close_lake(lake)


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def hold_to_the_document(
    client: httpx.Client, document: dict[str, Any], operation: str, examples: settings
) -> None:
    """Send requests to one route, right and wrong ones, and check what comes back."""
    schemathesis.openapi.format("sql", st.sampled_from(STATEMENTS) | st.text(min_size=1))
    method, path = operation.split()
    found = schemathesis.openapi.from_dict(document)[path][method]
    right, wrong = (
        found.as_strategy(generation_mode=mode)
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    )
    negatable = bool(found.definition.raw.get("parameters") or found.body)

    @examples
    @given(right | wrong if negatable else right, st.sampled_from(ACCEPTED))
    def ask(case: schemathesis.Case, accept: str) -> None:
        # The HTTP server itself refuses a URL of 64 KiB, before there is a service to ask.
        assume(len(str(case.as_transport_kwargs().get("params"))) < 20_000)
        headers = {"Accept": accept} if path == "/v1/sql" else {}
        response = case.call(base_url=str(client.base_url), headers=headers)
        case.validate_response(response, checks=CHECKS)
        assert response.status_code != 500, response.text
        if response.status_code >= 400:
            assert response.headers["content-type"] == ["application/problem+json"]
            assert response.json()["status"] == response.status_code

    ask()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_route_keeps_its_promises(
    client: httpx.Client, document: dict[str, Any], operation: str
) -> None:
    examples = settings(
        max_examples=40 if operation.endswith("/v1/sql") else 15,
        deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    hold_to_the_document(client, document, operation, examples)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_route_keeps_its_promises_for_long(
    client: httpx.Client, document: dict[str, Any], operation: str
) -> None:
    examples = settings(
        max_examples=1500 if operation.endswith("/v1/sql") else 300,
        deadline=None, database=None, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    hold_to_the_document(client, document, operation, examples)


def test_the_document_has_every_format_and_every_error(document: dict[str, Any]) -> None:
    for method in ("get", "post"):
        responses = document["paths"]["/v1/sql"][method]["responses"]
        assert set(responses["200"]["content"]) == {m.split(";")[0] for m in MEDIA_TYPES.values()}
        shown = {
            (int(status), code): example["value"]
            for status, response in responses.items()
            if int(status) >= 400
            for code, example in response["content"]["application/problem+json"]["examples"].items()
        }
        kinds = {(kind.status, kind.code) for kind in QueryError.__subclasses__()}
        assert kinds | {(500, LavraError.code)} <= set(shown)
        for (status, code), example in shown.items():
            assert (example["status"], example["code"]) == (status, code)


def test_the_document_names_every_route(document: dict[str, Any]) -> None:
    named = {
        f"{method} {path}": operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert sorted(named) == sorted(OPERATIONS)
    assert "HTTPValidationError" not in json.dumps(document["paths"])
    assert all(operation["summary"] and operation["description"] for operation in named.values())
