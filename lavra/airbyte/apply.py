"""Makes the server as planned, one recorded step after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from lavra.airbyte.desired import Resource
from lavra.airbyte.observed import ID_KEYS, observed_fields, offered_streams
from lavra.errors import AirbyteError

if TYPE_CHECKING:
    from lavra.airbyte.plan import Change, Plan
    from lavra.airbyte.server import AirbyteServer
    from lavra.airbyte.state import AirbyteState


class Progress(Protocol):
    """Hears of each step."""

    def begins(self, change: Change) -> None:
        """A step begins; on the server it may take minutes."""

    def done(self, change: Change) -> None:
        """It is done and recorded."""


def apply(server: AirbyteServer, state: AirbyteState, plan: Plan, progress: Progress) -> None:
    """Carry a plan out.

    Every step is recorded when it is done; an error leaves the steps before it in place, and the
    next plan shows the rest. Hold :meth:`AirbyteState.lock` from the plan to the end.

    Raises:
        AirbyteError: the server refused a step; the message names it.
    """
    for change in plan.changes:
        if change.action == "replace" and change.kind == "connection":
            _delete(server, state, change)
    for change in plan.changes:
        progress.begins(change)
        try:
            _carry_out(server, state, change)
        except AirbyteError as error:
            raise AirbyteError(
                f"{change.action} {change.kind} {change.name}: {error.message}",
                remedy=error.remedy
                or "What was done before it is recorded; apply again when it is put right.",
            ) from error
        progress.done(change)


def _carry_out(server: AirbyteServer, state: AirbyteState, change: Change) -> None:
    resource = change.wanted
    if change.action == "delete" or resource is None:
        _delete(server, state, change)
        return
    if change.action == "replace" and change.kind != "connection":
        _delete(server, state, change)
    if change.action in {"create", "replace"}:
        state.pending(resource.kind, resource.name)
        answer = server.create(resource.kind, _body(resource, state))
    else:
        assert change.resource_id is not None  # noqa: S101 - found on the server
        answer = server.update(resource.kind, change.resource_id, _update_body(resource))
    record(server, state, resource, answer)


def record(
    server: AirbyteServer, state: AirbyteState, resource: Resource, answer: dict[str, Any]
) -> None:
    """Record a resource as it was sent and as the server has it now."""
    resource_id = answer[ID_KEYS[resource.kind]]
    streams: tuple[str, ...] = ()
    if resource.kind == "connection":
        # Create answers before the server has settled streams and defaults; ask again.
        answer = server.get("connection", resource_id) or answer
        streams = offered_streams(server.streams(answer["sourceId"]))
    state.done(
        resource.kind, resource.name, resource_id,
        sent=resource.fields, observed=observed_fields(resource.kind, answer), streams=streams,
    )  # fmt: skip


def _body(resource: Resource, state: AirbyteState) -> dict[str, Any]:
    body = dict(resource.body)
    kept = state.all()
    if resource.definition:
        definition = kept.get(("definition", resource.definition))
        body["definitionId"] = definition.resource_id if definition else None
    elif resource.definition_id:
        body["definitionId"] = resource.definition_id
    if resource.needs:
        source, destination = resource.needs
        body["sourceId"] = kept["source", source].resource_id
        body["destinationId"] = kept["destination", destination].resource_id
    return body


def _update_body(resource: Resource) -> dict[str, Any]:
    if resource.kind == "definition":
        return {"manifest": resource.body["manifest"]}
    return dict(resource.body)


def _delete(server: AirbyteServer, state: AirbyteState, change: Change) -> None:
    if change.resource_id:
        server.delete(change.kind, change.resource_id)
    state.forget(change.kind, change.name)
