"""The public API of an Airbyte server, through the ``airbyte-api`` package.

The package's typed answers refuse what they do not know (custom and declarative sources, new
fields), and its union of sources picks a wrong one for a definition's id, so requests with a
configuration are built unvalidated and answers are read as plain JSON (facts: airbyte-api 1.0.1).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from lavra.errors import AirbyteError, ConfigurationError

if TYPE_CHECKING:
    import httpx

    from lavra.settings import Settings

Kind = Literal["definition", "source", "destination", "connection"]

PAGE = 100
TIMEOUT_MS = 300_000
"""A create runs a discover on the server, which may take minutes."""


class AirbyteServer:
    """One workspace of an Airbyte server.

    Args:
        url: The API's base: ``https://api.airbyte.com/v1``, or ``http://host/api/public/v1``.
        workspace_id: The workspace.
        client_id: Of an application, with its secret; or none, with a token or an open server.
        client_secret: The application's.
        token: A bearer token, instead of an application.
        client: Sends the requests; one of our own when not given.

    Every method raises :class:`AirbyteError` when the server cannot be reached or refuses.
    """

    def __init__(
        self,
        url: str,
        workspace_id: str,
        *,
        client_id: str = "",
        client_secret: str = "",
        token: str = "",
        client: httpx.Client | None = None,
    ) -> None:
        try:
            import airbyte_api  # noqa: PLC0415
            from airbyte_api import models  # noqa: PLC0415
        except ImportError as error:
            raise ConfigurationError(
                "The package airbyte-api is not installed.",
                remedy="Install lavra[ingestion].",
            ) from error
        self._url = url.rstrip("/")
        self.workspace_id = workspace_id
        self._renews = bool(client_id)
        security = None
        if client_id:
            # The package resolves a relative token URL to a path that does not exist.
            credentials = models.SchemeClientCredentials(
                client_id=client_id,
                client_secret=client_secret,
                token_url=f"{self._url}/applications/token",
            )
            security = models.Security(client_credentials=credentials)
        elif token:
            security = models.Security(bearer_auth=token)
        self._api = airbyte_api.AirbyteAPI(
            server_url=self._url, security=security, client=client, timeout_ms=TIMEOUT_MS
        )

    def resources(self, kind: Kind) -> list[dict[str, Any]]:
        """Return all resources of a kind in the workspace, as the API's JSON."""
        if kind == "definition":
            answer = self._call(
                lambda: self._definitions.list_declarative_source_definitions(
                    request={"workspace_id": self.workspace_id}
                )
            )
            return list(answer.get("data", []))
        module = {
            "source": self._api.sources.list_sources,
            "destination": self._api.destinations.list_destinations,
            "connection": self._api.connections.list_connections,
        }[kind]
        return list(self._pages(module))

    def get(self, kind: Kind, resource_id: str) -> dict[str, Any] | None:
        """Return one resource, or None when it is gone."""
        found: dict[str, Any] | None = self._one("get", kind, resource_id)
        return found

    def create(self, kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
        """Create a resource from the API's JSON and return the server's answer."""
        from airbyte_api import models  # noqa: PLC0415

        calls: dict[str, Callable[[], Any]] = {
            "definition": lambda: self._definitions.create_declarative_source_definition(
                request={
                    "workspace_id": self.workspace_id,
                    "create_declarative_source_definition_request": body,
                }
            ),
            "source": lambda: self._api.sources.create_source(
                request=models.SourceCreateRequest.model_construct(
                    workspace_id=self.workspace_id, **_snake(body)
                )
            ),
            "destination": lambda: self._api.destinations.create_destination(
                request=models.DestinationCreateRequest.model_construct(
                    workspace_id=self.workspace_id, **_snake(body)
                )
            ),
            "connection": lambda: self._api.connections.create_connection(
                request=_connection_request(models.ConnectionCreateRequest, body)
            ),
        }
        created: dict[str, Any] = self._call(calls[kind])
        return created

    def update(self, kind: Kind, resource_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """Replace a resource's settings by the API's JSON and return the server's answer."""
        from airbyte_api import api, models  # noqa: PLC0415

        calls: dict[str, Callable[[], Any]] = {
            "definition": lambda: self._definitions.update_declarative_source_definition(
                request={
                    "workspace_id": self.workspace_id,
                    "definition_id": resource_id,
                    "update_declarative_source_definition_request": body,
                }
            ),
            "source": lambda: self._api.sources.put_source(
                request=api.PutSourceRequest.model_construct(
                    source_id=resource_id,
                    source_put_request=models.SourcePutRequest.model_construct(**_snake(body)),
                )
            ),
            "destination": lambda: self._api.destinations.put_destination(
                request=api.PutDestinationRequest.model_construct(
                    destination_id=resource_id,
                    destination_put_request=models.DestinationPutRequest.model_construct(
                        **_snake(body)
                    ),
                )
            ),
            "connection": lambda: self._api.connections.patch_connection(
                request=api.PatchConnectionRequest(
                    connection_id=resource_id,
                    connection_patch_request=_connection_request(
                        models.ConnectionPatchRequest, body
                    ),
                )
            ),
        }
        updated: dict[str, Any] = self._call(calls[kind])
        return updated

    def delete(self, kind: Kind, resource_id: str) -> None:
        """Delete a resource; one that is gone already is no error."""
        self._one("delete", kind, resource_id)

    def streams(self, source_id: str) -> list[dict[str, Any]]:
        """Return what the source offers: ``streamName``, ``propertyFields``, keys, cursors."""
        answer = self._call(
            lambda: self._api.streams.get_stream_properties(request={"source_id": source_id})
        )
        return list(answer if isinstance(answer, list) else answer.get("data", []))

    def start_job(self, connection_id: str, kind: str) -> dict[str, Any]:
        """Start a job (``sync``, ``refresh``) and return it; one at a time for a connection."""
        request = {"connection_id": connection_id, "job_type": kind}
        started: dict[str, Any] = self._call(lambda: self._jobs.create_job(request=request))
        return started

    def job(self, job_id: int) -> dict[str, Any]:
        """Return a job as it stands."""
        request = {"job_id": job_id}
        found: dict[str, Any] = self._call(lambda: self._jobs.get_job(request=request))
        return found

    def newest_job(self, connection_id: str) -> dict[str, Any] | None:
        """Return the job of a connection that was created last, or None if it never had one."""
        request = {
            "connection_id": connection_id,
            "workspace_ids": [self.workspace_id],
            "order_by": "createdAt|DESC",
            "limit": PAGE,  # newest by number, whatever order the server keeps
        }
        answer = self._call(lambda: self._jobs.list_jobs(request=request))
        return max(answer.get("data") or [], key=lambda job: int(job["jobId"]), default=None)

    @property
    def _jobs(self) -> Any:
        return self._api.jobs

    @property
    def _definitions(self) -> Any:
        return self._api.declarative_source_definitions

    def _one(self, verb: str, kind: Kind, resource_id: str) -> Any:
        """Get or delete one resource; None when it is gone."""
        if kind == "definition":
            api, noun = self._definitions, "declarative_source_definition"
            request = {"workspace_id": self.workspace_id, "definition_id": resource_id}
        else:
            api, noun = getattr(self._api, f"{kind}s"), kind
            request = {f"{kind}_id": resource_id}
        call = getattr(api, f"{verb}_{noun}")
        return self._call(lambda: call(request=request), missing_is_none=True)

    def _pages(self, call: Callable[..., Any]) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            request = {"workspace_ids": [self.workspace_id], "limit": PAGE, "offset": offset}
            page = self._call(lambda request=request: call(request=request)).get("data", [])  # type: ignore[misc]
            yield from page
            if len(page) < PAGE:
                return
            offset += PAGE

    def _call(
        self, call: Callable[[], Any], *, missing_is_none: bool = False, again: bool = True
    ) -> Any:
        """Make a call and return its answer as JSON, translating every way it can fail."""
        import httpx  # noqa: PLC0415
        from airbyte_api import errors  # noqa: PLC0415

        try:
            with warnings.catch_warnings():  # of pydantic, about configurations it does not know
                warnings.simplefilter("ignore", UserWarning)
                response = call().raw_response
        except errors.ResponseValidationError as error:
            response = error.raw_response
        except errors.SDKError as error:
            if missing_is_none and error.raw_response.status_code == 404:
                return None
            if again and self._renews and error.raw_response.status_code == 401:
                # The package keeps a token until it should expire; the server ended it earlier.
                return self._call(call, missing_is_none=missing_is_none, again=False)
            raise _refusal(error.raw_response) from error
        except httpx.HTTPError as error:
            raise AirbyteError(
                f"Airbyte at {self._url} does not answer: {type(error).__name__}.",
                remedy="Check LAVRA_AIRBYTE_URL and that the server is up.",
            ) from error
        except Exception as error:
            if "client credentials" in str(error).lower() or "token" in str(error).lower():
                raise AirbyteError(
                    f"Airbyte at {self._url} does not accept the application's id and secret.",
                    remedy="Check LAVRA_AIRBYTE_CLIENT_ID and LAVRA_AIRBYTE_CLIENT_SECRET.",
                ) from error
            raise
        if not response.content:
            return {}
        try:
            return response.json()
        except json.JSONDecodeError as error:
            raise AirbyteError(
                f"Airbyte at {self._url} answered something that is not JSON "
                f"(status {response.status_code}).",
                remedy="Is LAVRA_AIRBYTE_URL the API's base, such as "
                "http://host:8000/api/public/v1?",
            ) from error


def open_server(settings: Settings) -> AirbyteServer:
    """Return the server that the settings name.

    Raises:
        ConfigurationError: they name none, or no workspace.
    """
    missing = [
        f"LAVRA_{name.upper()}"
        for name in ("airbyte_url", "airbyte_workspace_id")
        if not getattr(settings, name)
    ]
    if missing:
        raise ConfigurationError(
            f"{' and '.join(missing)} must say which Airbyte this lake uses.",
            remedy="docs/ingestion.md shows how; `lavra ingest run --here` needs no Airbyte.",
        )
    return AirbyteServer(
        settings.airbyte_url,
        settings.airbyte_workspace_id,
        client_id=settings.airbyte_client_id,
        client_secret=settings.airbyte_client_secret.get_secret_value(),
        token=settings.airbyte_token.get_secret_value(),
    )


def _refusal(response: httpx.Response) -> AirbyteError:
    try:
        body = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        body = {}
    said = body.get("detail") or body.get("message") or body.get("title") or response.text[:300]
    if isinstance(body.get("data"), dict) and body["data"].get("message"):
        said = f"{said}: {body['data']['message']}"
    remedies = {
        401: "Check LAVRA_AIRBYTE_CLIENT_ID and LAVRA_AIRBYTE_CLIENT_SECRET, or the token.",
        403: "The application lacks a permission in this workspace.",
        404: "It was removed on the server; `lavra ingest plan` shows what would be made again.",
        409: "Something else works on it right now; try again.",
    }
    path = response.request.url.path
    return AirbyteError(
        f"Airbyte refused {response.request.method} {path} ({response.status_code}): {said}",
        remedy=remedies.get(response.status_code),
    )


def _connection_request(model: Any, body: dict[str, Any]) -> Any:
    """Return a connection's request; the package validates all of it but mappers.

    Its union of mappers' configurations looks for an ``algorithm`` in every one of them and
    refuses the others (airbyte-api 1.0.1), so they are set after the validation.
    """
    from airbyte_api import models  # noqa: PLC0415

    streams = (body.get("configurations") or {}).get("streams") or []
    plain = [{k: v for k, v in stream.items() if k != "mappers"} for stream in streams]
    request = model.model_validate(body | {"configurations": {"streams": plain}})
    for configured, stream in zip(request.configurations.streams, streams, strict=True):
        if stream.get("mappers"):
            configured.mappers = [
                models.ConfiguredStreamMapper.model_construct(
                    type=models.StreamMapperType(mapper["type"]),
                    mapper_configuration=mapper["mapperConfiguration"],
                )
                for mapper in stream["mappers"]
            ]
    return request


def _snake(body: dict[str, Any]) -> dict[str, Any]:
    names = {"definitionId": "definition_id"}
    return {names.get(key, key): value for key, value in body.items()}
