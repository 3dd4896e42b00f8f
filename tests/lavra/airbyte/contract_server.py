"""A server that keeps the published contract of Airbyte's public API, for tests.

What it does beside storing things is what the real one does (airbytehq/airbyte-platform, and
facts of this project): secrets are masked, a create and a change of streams run a discover, a
list of streams replaces the whole list, no list means all of them, a cron reads back with its
zone, ``selectedFields`` reads back empty when it was never set and is refused when sent empty, a
cursor or key that the source defines cannot be another one. Requests and answers are checked
against the models of the ``airbyte-api`` package, which are made from the published OpenAPI
document.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from airbyte_api import models
from pydantic import ValidationError

from tests.lavra.airbyte.job_routes import Jobs

WORKSPACE = "11111111-2222-3333-4444-555555555555"
CLIENT = ("the-client", "the-client-secret")
MASK = "**********"
SECRET_KEYS = {"password", "api_key", "hmac_key_secret", "service_account", "token"}
DEFAULTS = {"postgres": {"tunnel_method": {"tunnel_method": "NO_TUNNEL"}}, "faker": {"seed": -1}}
"""What a connector's specification fills in by itself."""


@dataclass
class Offered:
    """A stream that a source offers."""

    name: str
    namespace: str | None = None
    fields: tuple[str, ...] = ("id", "updated_at", "name")
    source_cursor: str | None = None
    source_key: str | None = None


class Refused(Exception):
    """An error answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


@dataclass
class Airbyte:
    """The state of the server, and what tests may do to it directly (as a person in the UI)."""

    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    destinations: dict[str, dict[str, Any]] = field(default_factory=dict)
    connections: dict[str, dict[str, Any]] = field(default_factory=dict)
    definitions: dict[str, dict[str, Any]] = field(default_factory=dict)
    offered: dict[str, list[Offered]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    discovers: int = 0
    jobs: Jobs = field(default_factory=Jobs)
    before_call: Callable[[str, str], None] | None = None
    after_call: Callable[[str, str], None] | None = None

    def streams_of(self, source: dict[str, Any]) -> list[Offered]:
        return self.offered.get(source["name"], [Offered("users"), Offered("purchases")])

    def only(self, kind: str) -> dict[str, Any]:
        (one,) = getattr(self, kind).values()
        return dict(one)

    def writes(self) -> list[tuple[str, str]]:
        return [c for c in self.calls if c[0] != "GET" and "token" not in c[1]]

    # -- sources and destinations -------------------------------------------------------------

    def put_actor(self, kind: str, body: dict[str, Any], actor_id: str | None) -> dict[str, Any]:
        configuration = dict(body["configuration"])
        type_key = f"{kind}Type"
        store = self.sources if kind == "source" else self.destinations
        old = store.get(actor_id or "")
        if actor_id and old is None:
            raise Refused(404, f"Could not find {kind} {actor_id}")
        if old is None:
            definition = body.get("definitionId")
            if not configuration.get(type_key) and not definition:
                raise Refused(400, f"One of configuration.{type_key} or definitionId is required")
            custom = self.definitions.get(definition or "", {}).get("name")
            old = {
                f"{kind}Id": str(uuid.uuid4()),
                "definitionId": definition or _registered(configuration[type_key]),
                type_key: custom or configuration.get(type_key, "custom"),
                "workspaceId": body["workspaceId"],
                "createdAt": int(time.time()),
            }  # fmt: skip
        configuration.pop(type_key, None)
        if any(value == MASK for value in configuration.values()):
            raise Refused(400, "A masked value is no value")
        defaults = DEFAULTS.get(old[type_key], {})
        new = old | {"name": body["name"], "configuration": defaults | configuration}
        store[new[f"{kind}Id"]] = new
        return self.shown_actor(kind, new)

    def shown_actor(self, kind: str, actor: dict[str, Any]) -> dict[str, Any]:
        shown = deepcopy(actor)
        shown["configuration"] = _masked(shown["configuration"]) | {
            f"{kind}Type": actor[f"{kind}Type"]
        }
        return shown

    # -- connections --------------------------------------------------------------------------

    def put_connection(self, body: dict[str, Any], connection_id: str | None) -> dict[str, Any]:
        model = models.ConnectionPatchRequest if connection_id else models.ConnectionCreateRequest
        _checked(model, body)
        old = self.connections.get(connection_id or "")
        if connection_id and old is None:
            raise Refused(404, f"Could not find connection {connection_id}")
        if old is None:
            if body["sourceId"] not in self.sources:
                raise Refused(404, "Could not find the source")
            if body["destinationId"] not in self.destinations:
                raise Refused(404, "Could not find the destination")
            old = {
                "connectionId": str(uuid.uuid4()), "workspaceId": WORKSPACE, "tags": [],
                "sourceId": body["sourceId"], "destinationId": body["destinationId"],
                "schedule": {"scheduleType": "manual"}, "status": "active", "prefix": "",
                "namespaceDefinition": "destination", "createdAt": int(time.time()),
                "nonBreakingSchemaUpdatesBehavior": "ignore", "name": "Connection",
                "configurations": None,
            }  # fmt: skip
        new = old | {k: v for k, v in body.items() if k not in {"configurations", "schedule"}}
        if schedule := body.get("schedule"):
            new["schedule"] = _read_back(schedule)
        wanted = (body.get("configurations") or {}).get("streams")
        if wanted is not None or old["configurations"] is None:
            self.discovers += 1
            offered = self.streams_of(self.sources[old["sourceId"]])
            new["configurations"] = {"streams": _configured(offered, wanted)}
        self.connections[new["connectionId"]] = new
        models.ConnectionResponse.model_validate(_without_mappers(new))
        return deepcopy(new)


def _configured(offered: list[Offered], wanted: list[dict[str, Any]] | None) -> list[Any]:
    if wanted is None:
        return [
            {"name": each.name, "syncMode": "full_refresh_overwrite", "selectedFields": []}
            | ({"namespace": each.namespace} if each.namespace else {})
            for each in offered
        ]
    configured = []
    for stream in wanted:
        found = next(
            (
                each for each in offered
                if each.name == stream["name"]
                and stream.get("namespace") in {None, each.namespace}
            ),
            None,
        )  # fmt: skip
        if found is None:
            raise Refused(400, f"Stream {stream['name']} is not offered by the source")
        if stream.get("selectedFields") == []:
            raise Refused(400, "selectedFields cannot be empty")
        cursor, key = stream.get("cursorField"), stream.get("primaryKey")
        if found.source_cursor and cursor and cursor != [found.source_cursor]:
            raise Refused(400, f"Cursor of {found.name} is defined by the source")
        if found.source_key and key and key != [[found.source_key]]:
            raise Refused(400, f"Primary key of {found.name} is defined by the source")
        shown = {"selectedFields": [], "mappers": []} | stream
        if found.source_key:
            shown["primaryKey"] = [[found.source_key]]
        if found.source_cursor and stream.get("syncMode", "").startswith("incremental"):
            shown["cursorField"] = [found.source_cursor]
        shown["mappers"] = [m | {"id": str(uuid.uuid4())} for m in shown["mappers"]]
        configured.append(shown)
    # The server keeps them in an order of its own.
    return sorted(configured, key=lambda each: each["name"], reverse=True)


def _read_back(schedule: dict[str, Any]) -> dict[str, Any]:
    if schedule["scheduleType"] == "cron":
        fields = schedule["cronExpression"].split()
        if len(fields) not in {6, 7, 8}:
            raise Refused(400, "The cron expression is not Quartz's")
        if "/" not in fields[-1] and fields[-1].upper() != "UTC":
            return schedule | {"cronExpression": " ".join([*fields, "UTC"])}
    return schedule


def _registered(connector: str) -> str:
    """The id of a connector's definition in Airbyte's registry."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, connector))


def _masked(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _masked(inner, name) for name, inner in value.items()}
    return MASK if key in SECRET_KEYS and value else value


def _without_mappers(connection: dict[str, Any]) -> dict[str, Any]:
    """The package's own model of mappers refuses all but encryption (airbyte-api 1.0.1)."""
    configurations = deepcopy(connection.get("configurations") or {})
    for stream in configurations.get("streams") or []:
        stream.pop("mappers", None)
    return connection | {"configurations": configurations}


def _checked(model: Any, body: dict[str, Any]) -> None:
    try:
        model.model_validate(_without_mappers(body) if "configurations" in body else body)
    except ValidationError as error:
        raise Refused(400, f"The request is malformed: {error.errors()[0]}") from error


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # one packet for an answer
    airbyte: Airbyte
    tokens: set[str]

    def do_GET(self) -> None:
        self._handle("GET")

    def do_POST(self) -> None:
        self._handle("POST")

    def do_PUT(self) -> None:
        self._handle("PUT")

    def do_PATCH(self) -> None:
        self._handle("PATCH")

    def do_DELETE(self) -> None:
        self._handle("DELETE")

    def log_message(self, *args: object) -> None:
        pass

    def _handle(self, method: str) -> None:
        path = urlsplit(self.path).path.removeprefix("/api/public/v1")
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        airbyte = self.airbyte
        airbyte.calls.append((method, path))
        try:
            if airbyte.before_call:
                airbyte.before_call(method, path)
            if path == "/applications/token":
                form = {k: v[0] for k, v in parse_qs(raw.decode()).items()}
                form = form or json.loads(raw or b"{}")
                self._answer(200, self._token(form))
                return
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            answer = self._authorised(token, method, path, json.loads(raw or b"{}"))
            if airbyte.after_call:
                airbyte.after_call(method, path)
        except Refused as refused:
            kind = "https://reference.airbyte.com/reference/errors"
            self._answer(refused.status, {
                "status": refused.status, "type": kind, "title": "refused",
                "detail": refused.detail, "documentationUrl": None, "data": None,
            })  # fmt: skip
            return
        except ConnectionAbortedError:
            self.close_connection = True  # the test wants the answer lost
            return
        if answer is None:
            self._answer(204, None)
        else:
            self._answer(200, answer)

    def _authorised(self, token: str, method: str, path: str, body: dict[str, Any]) -> Any:
        if token not in self.tokens:
            raise Refused(401, "Unauthorized")
        return self._route(method, path.strip("/").split("/"), body)

    def _token(self, form: dict[str, str]) -> dict[str, Any]:
        if (form.get("client_id"), form.get("client_secret")) != CLIENT:
            raise Refused(401, "Unknown application")
        token = uuid.uuid4().hex
        self.tokens.add(token)
        return {"access_token": token, "token_type": "Bearer", "expires_in": 900}

    def _route(  # noqa: C901, PLR0911, PLR0912 - one case per route
        self, method: str, path: list[str], body: dict[str, Any]
    ) -> Any:
        airbyte = self.airbyte
        match method, path:
            case "GET", [("sources" | "destinations") as kind]:
                singular = kind[:-1]
                return self._page(
                    [airbyte.shown_actor(singular, a) for a in getattr(airbyte, kind).values()]
                )
            case "GET", ["connections"]:
                return self._page([deepcopy(c) for c in airbyte.connections.values()])
            case "POST", [("sources" | "destinations") as kind]:
                return airbyte.put_actor(kind[:-1], body, None)
            case "PUT", [("sources" | "destinations") as kind, actor_id]:
                return airbyte.put_actor(kind[:-1], body, actor_id)
            case "GET", [("sources" | "destinations") as kind, actor_id]:
                return airbyte.shown_actor(kind[:-1], self._one(getattr(airbyte, kind), actor_id))
            case "POST", ["connections"]:
                return airbyte.put_connection(body, None)
            case "PATCH", ["connections", connection_id]:
                return airbyte.put_connection(body, connection_id)
            case "GET", ["connections", connection_id]:
                return deepcopy(self._one(airbyte.connections, connection_id))
            case "DELETE", [("sources" | "destinations" | "connections") as kind, one]:
                self._one(getattr(airbyte, kind), one)
                if kind != "connections":
                    key = f"{kind[:-1]}Id"
                    users = [c for c in airbyte.connections.values() if c[key] == one]
                    for connection in users:  # the real server deletes them along
                        del airbyte.connections[connection["connectionId"]]
                del getattr(airbyte, kind)[one]
                return None
            case _, ["jobs", *rest]:
                return self._jobs(method, rest, body)
            case "GET", ["streams"]:
                source = self._one(airbyte.sources, self._query("sourceId"))
                return [_properties(each) for each in airbyte.streams_of(source)]
        return self._definition(method, path, body)

    def _jobs(self, method: str, path: list[str], body: dict[str, Any]) -> Any:
        jobs = self.airbyte.jobs
        match method, path:
            case "POST", []:
                _checked(models.JobCreateRequest, body)
                self._one(self.airbyte.connections, body["connectionId"])
                if (running := jobs.running(body["connectionId"])) is not None:
                    raise Refused(409, f"A sync is already running for the connection: {running}")
                return jobs.create(body["connectionId"], body["jobType"])
            case "GET", []:
                return self._page(jobs.of(self._query("connectionId"), self._query("orderBy")))
            case "GET", [job_id]:
                return jobs.look(self._one(jobs.all, int(job_id))["jobId"])
            case "DELETE", [job_id]:
                return jobs.end(self._one(jobs.all, int(job_id))["jobId"], "cancelled")
        raise Refused(404, "no such route")

    def _definition(self, method: str, path: list[str], body: dict[str, Any]) -> Any:
        store = self.airbyte.definitions
        match method, path:
            case "GET", ["workspaces", _, "definitions", "declarative_sources"]:
                return {"data": list(store.values())}
            case "POST", ["workspaces", _, "definitions", "declarative_sources"]:
                _checked(models.CreateDeclarativeSourceDefinitionRequest, body)
                new = {"id": str(uuid.uuid4()), "version": 1} | body
                store[new["id"]] = new
                return new
            case "PUT", ["workspaces", _, "definitions", "declarative_sources", one]:
                _checked(models.UpdateDeclarativeSourceDefinitionRequest, body)
                store[one] = self._one(store, one) | body
                store[one]["version"] += 1
                return store[one]
            case "GET", ["workspaces", _, "definitions", "declarative_sources", one]:
                return self._one(store, one)
            case "DELETE", ["workspaces", _, "definitions", "declarative_sources", one]:
                return store.pop(one)
        raise Refused(404, f"There is no {method} /{'/'.join(path)}")

    def _one(self, store: dict[Any, Any], key: Any) -> dict[str, Any]:
        if key not in store:
            raise Refused(404, f"Could not find {key}")
        found: dict[str, Any] = store[key]
        return found

    def _query(self, name: str) -> str:
        return parse_qs(urlsplit(self.path).query).get(name, [""])[0]

    def _page(self, items: list[Any]) -> dict[str, Any]:
        offset, limit = int(self._query("offset") or 0), int(self._query("limit") or 20)
        page = items[offset : offset + limit]
        return {"data": page, "previous": "", "next": ""}

    def _answer(self, status: int, body: Any) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _properties(offered: Offered) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "streamName": offered.name,
        "propertyFields": [[name] for name in offered.fields],
        "syncModes": ["full_refresh_overwrite", "incremental_append"],
        "defaultCursorField": [], "sourceDefinedCursorField": bool(offered.source_cursor),
        "sourceDefinedPrimaryKey": [[offered.source_key]] if offered.source_key else [],
    }  # fmt: skip
    if offered.namespace:
        shown["streamnamespace"] = offered.namespace
    models.StreamProperties.model_validate(shown)
    return shown


@contextmanager
def contract_server() -> Iterator[tuple[str, Airbyte]]:
    """Serve an empty workspace; gives the API's base URL and its state."""
    airbyte = Airbyte()
    handler = type("Handler", (_Handler,), {"airbyte": airbyte, "tokens": {"a-token"}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/api/public/v1", airbyte
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
