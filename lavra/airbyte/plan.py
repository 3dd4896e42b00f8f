"""What would change on the server, and why: the YAML, what we sent last, what is there now."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from lavra.airbyte.desired import Resource
from lavra.airbyte.fields import (
    Fields,
    Secret,
    canonical,
    digest,
    equals_recorded,
    is_mask,
    shown,
)
from lavra.airbyte.observed import ID_KEYS, normal_cron, observed_fields, offered_streams

if TYPE_CHECKING:
    from lavra.airbyte.server import AirbyteServer, Kind
    from lavra.airbyte.state import AirbyteState, Recorded

Action = Literal["create", "adopt", "update", "replace", "delete"]
Cause = Literal["changed", "drifted", "removed", "added on the server", "secret"]

_STREAM_FIELD = re.compile(r"^streams\.(?P<stream>.+)\.(?P<setting>[A-Za-z]+)$")
_REREAD = {"syncMode", "cursorField", "primaryKey"}


@dataclass(frozen=True)
class FieldChange:
    """One field that apply would set: how it is, how it would be, and whose doing that is."""

    field: str
    cause: Cause
    before: str | None
    after: str | None

    @property
    def destroys(self) -> bool:
        """Whether a stream would go, or be read from its start again."""
        found = _STREAM_FIELD.match(self.field)
        return bool(found and found["setting"] in _REREAD and self.before is not None)


@dataclass(frozen=True)
class Change:
    """What apply would do to one resource."""

    action: Action
    kind: Kind
    name: str
    resource_id: str | None = None
    fields: tuple[FieldChange, ...] = ()
    wanted: Resource | None = field(default=None, repr=False)

    @property
    def is_destructive(self) -> bool:
        """Whether a person is asked first."""
        return self.action in {"adopt", "replace", "delete"} or any(
            each.destroys for each in self.fields
        )


@dataclass(frozen=True)
class Plan:
    """Everything that apply would do, in order, and what people should know.

    Attributes:
        changes: In the order in which they are made.
        new_streams: Streams by connection that a source offers since the last apply, and nobody
            declared.
        wanted: Everything declared.
    """

    changes: tuple[Change, ...]
    new_streams: dict[str, tuple[str, ...]]
    wanted: tuple[Resource, ...] = field(repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether apply would do nothing."""
        return not self.changes

    def to_json(self) -> dict[str, Any]:
        """Return the plan for programs; no secret is in it."""
        return {
            "changes": [
                {
                    "action": change.action,
                    "kind": change.kind,
                    "name": change.name,
                    "destructive": change.is_destructive,
                    "fields": [vars(each) for each in change.fields],
                }
                for change in self.changes
            ],
            "new_streams": {name: list(streams) for name, streams in self.new_streams.items()},
        }


def make_plan(
    server: AirbyteServer,
    state: AirbyteState,
    wanted: list[Resource],
    *,
    complete: bool = True,
) -> Plan:
    """Compare what is wanted with the server and return what apply would do.

    Args:
        server: Asked for what it has; nothing is changed.
        state: What we made there.
        wanted: From :func:`lavra.airbyte.desired.desired`.
        complete: Whether ``wanted`` is everything; else nothing is deleted.

    Raises:
        AirbyteError: the server cannot be asked.
    """
    kept = state.all()
    there = {kind: server.resources(kind) for kind in ID_KEYS}
    changes: list[Change] = []
    new_streams: dict[str, tuple[str, ...]] = {}
    replaced: set[str] = set()
    for resource in wanted:
        record = kept.get((resource.kind, resource.name))
        answer = _found(there[resource.kind], resource, record)
        if answer is None:
            changes.append(Change("create", resource.kind, resource.name, wanted=resource))
            continue
        resource_id = answer[ID_KEYS[resource.kind]]
        if record is None:
            changes.append(
                Change("adopt", resource.kind, resource.name, resource_id, wanted=resource)
            )
            continue
        if _is_another(resource, answer, there["definition"], replaced):
            replaced.add(f"{resource.kind}:{resource.name}")
            changes.append(
                Change("replace", resource.kind, resource.name, resource_id, wanted=resource)
            )
            continue
        fields = tuple(compare(resource.fields, record, observed_fields(resource.kind, answer)))
        if fields or record.resource_id is None:
            changes.append(
                Change("update", resource.kind, resource.name, resource_id, fields, resource)
            )
        if resource.kind == "connection" and (
            news := _news(server, answer["sourceId"], resource, record)
        ):
            new_streams[resource.name] = news
    if complete:
        changes += _deletions(kept, wanted, there)
    return Plan(tuple(changes), new_streams, tuple(wanted))


def compare(wanted: Fields, record: Recorded, there: Fields) -> list[FieldChange]:
    """Return the fields that must be set, each with its cause, in order of their names."""
    changes: list[FieldChange] = []
    for path in sorted({*wanted, *there}):
        if path not in wanted:
            change = _undeclared(path, there[path], record)
        elif path not in there:
            change = _missing(path, wanted[path], record)
        else:
            change = _both(path, wanted[path], there[path], record)
        if change:
            changes.append(change)
    return changes


def _both(path: str, wanted: Any, there: Any, record: Recorded) -> FieldChange | None:
    plain = wanted.value if isinstance(wanted, Secret) else wanted
    kept = record.applied.get(path)
    if is_mask(there):
        if equals_recorded(wanted, kept, record.salt):
            return None
        before = f"(secret, digest {kept['digest'][:8]})" if kept and "digest" in kept else None
        after = f"(secret, digest {digest(plain, record.salt)[:8]})"
        return FieldChange(path, "secret", before, after)
    if _same(path, plain, there):
        return None
    cause: Cause = "drifted" if equals_recorded(wanted, kept, record.salt) else "changed"
    before = "(secret)" if isinstance(wanted, Secret) else shown(there)
    return FieldChange(path, cause, before, shown(wanted))


def _missing(path: str, wanted: Any, record: Recorded) -> FieldChange | None:
    plain = wanted.value if isinstance(wanted, Secret) else wanted
    if plain in (None, "", [], {}):
        return None  # the server leaves out what is empty
    kept = record.applied.get(path)
    if path not in record.observed and equals_recorded(wanted, kept, record.salt):
        return None  # the server never told this one back
    return FieldChange(path, "drifted" if kept else "changed", None, shown(wanted))


def _undeclared(path: str, there: Any, record: Recorded) -> FieldChange | None:
    if path in record.applied:
        return FieldChange(path, "removed", shown(there), None)
    if there in (None, "", [], {}) or not record.observed:
        return None  # nothing, or never seen after an apply: nobody knows whose it is
    if path in record.observed and canonical(record.observed[path]) == canonical(there):
        return None  # a default of the connector's, as it was
    return FieldChange(path, "added on the server", shown(there), None)


def _same(path: str, wanted: Any, there: Any) -> bool:
    if path == "schedule.cronExpression":
        return normal_cron(str(wanted)) == normal_cron(str(there))
    if path.endswith(".primaryKey"):
        return sorted(map(canonical, wanted)) == sorted(map(canonical, there))
    return canonical(wanted) == canonical(there)


def _found(
    answers: list[dict[str, Any]], resource: Resource, record: Recorded | None
) -> dict[str, Any] | None:
    key = ID_KEYS[resource.kind]
    if record and record.resource_id:
        return next((a for a in answers if a[key] == record.resource_id), None)
    return next((a for a in answers if a.get("name") == resource.name), None)


def _is_another(
    resource: Resource,
    answer: dict[str, Any],
    definitions: list[dict[str, Any]],
    replaced: set[str],
) -> bool:
    """Whether the resource there is of another connector, or joins what is being replaced."""
    if resource.kind == "connection" and resource.needs:
        source, destination = resource.needs
        return f"source:{source}" in replaced or f"destination:{destination}" in replaced
    if resource.kind == "definition":
        return False
    there = answer.get("definitionId")
    if resource.definition:
        known = {d["id"] for d in definitions if d.get("name") == resource.definition}
        return there not in known
    if resource.definition_id:
        return there != resource.definition_id
    return bool(answer.get(f"{resource.kind}Type") not in {resource.type_name, None})


def _news(
    server: AirbyteServer, source_id: str, resource: Resource, record: Recorded
) -> tuple[str, ...]:
    declared = {found["stream"] for path in resource.fields if (found := _STREAM_FIELD.match(path))}
    offered = offered_streams(server.streams(source_id))
    # A stream may be declared without the namespace in which the source offers it.
    known = declared | set(record.streams)
    return tuple(s for s in offered if s not in known and s.rsplit(".", 1)[-1] not in declared)


def _deletions(
    kept: dict[tuple[Kind, str], Recorded],
    wanted: list[Resource],
    there: dict[Kind, list[dict[str, Any]]],
) -> list[Change]:
    names = {(resource.kind, resource.name) for resource in wanted}
    order: tuple[Kind, ...] = ("connection", "source", "destination", "definition")
    gone = [record for key, record in kept.items() if key not in names]
    changes: list[Change] = []
    for record in sorted(gone, key=lambda each: (order.index(each.kind), each.name)):
        resource_id = record.resource_id or next(
            (
                answer[ID_KEYS[record.kind]]
                for answer in there[record.kind]
                if answer.get("name") == record.name
            ),
            None,
        )
        changes.append(Change("delete", record.kind, record.name, resource_id))
    return changes
