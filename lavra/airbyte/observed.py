"""What the server says, in the same flat fields as what the YAML wants."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lavra.airbyte.desired import stream_fields, stream_key
from lavra.airbyte.fields import Fields, flatten

if TYPE_CHECKING:
    from lavra.airbyte.server import Kind

ID_KEYS: dict[Kind, str] = {
    "definition": "id",
    "source": "sourceId",
    "destination": "destinationId",
    "connection": "connectionId",
}
_ZONE = re.compile(r"[A-Za-z_]+(/[A-Za-z0-9_+-]+)*")
_TYPE_KEYS = {"sourceType", "destinationType"}


def observed_fields(kind: Kind, answer: dict[str, Any]) -> Fields:
    """Return the fields of a resource as the server has it.

    What the server decorates is undone: a cron's zone is written as ``UTC`` when none was given,
    an empty ``selectedFields`` means all of them, mappers get an id.
    """
    if kind == "definition":
        return {"manifest": answer.get("manifest")}
    if kind != "connection":
        configured = flatten(answer.get("configuration") or {})
        return {f"configuration.{p}": v for p, v in configured.items() if p not in _TYPE_KEYS}
    schedule = answer.get("schedule") or {}
    plain: dict[str, Any] = {
        "schedule": {"scheduleType": schedule.get("scheduleType")},
        "namespaceDefinition": answer.get("namespaceDefinition"),
        "namespaceFormat": answer.get("namespaceFormat"),
        "nonBreakingSchemaUpdatesBehavior": answer.get("nonBreakingSchemaUpdatesBehavior"),
        "prefix": answer.get("prefix") or "",
        "status": answer.get("status"),
    }
    if schedule.get("cronExpression"):
        plain["schedule"]["cronExpression"] = normal_cron(schedule["cronExpression"])
    if schedule.get("basicTiming"):
        plain["schedule"]["basicTiming"] = schedule["basicTiming"]
    fields = flatten(plain)
    return fields | stream_fields((answer.get("configurations") or {}).get("streams") or [])


def normal_cron(expression: str) -> str:
    """Return a Quartz expression with its time zone, ``UTC`` when it names none."""
    parts = expression.split()
    # Six fields, perhaps a year; letters after them can only be a zone.
    named = len(parts) > 6 and _ZONE.fullmatch(parts[-1])
    return " ".join(parts if named else [*parts, "UTC"])


def offered_streams(answers: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the names of what a source offers."""
    return tuple(
        sorted(
            stream_key(
                answer.get("streamnamespace") or answer.get("streamNamespace"),
                answer["streamName"],
            )
            for answer in answers
        )
    )
