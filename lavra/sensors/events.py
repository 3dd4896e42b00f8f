"""What a bucket says of an object: as Eventarc and Pub/Sub push it over HTTP."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lavra.errors import InvalidRequest

FINALIZED = "google.cloud.storage.object.v1.finalized"
_PUBLISHED = "google.cloud.pubsub.topic.v1.messagePublished"
_FINALIZE = "OBJECT_FINALIZE"
_LONGEST = 1024
"""Bytes of an object's name, as Cloud Storage allows; no id is longer either."""


@dataclass(frozen=True)
class ObjectEvent:
    """An object was written.

    Attributes:
        id: The same however often the event is delivered.
        bucket: Its bucket.
        name: Its name there.
    """

    id: str
    bucket: str
    name: str


def parse_event(headers: Mapping[str, str], body: bytes) -> ObjectEvent | None:
    """Return the event of a request; None for one of another kind, which is nobody's fault.

    Three forms: a CloudEvent in binary mode (``ce-`` headers, as Eventarc sends it), one in
    structured mode (``application/cloudevents+json``), and Pub/Sub's push with a bucket's
    notification. An event may come twice, and in any order.

    Args:
        headers: By their names in small letters.
        body: All of it.

    Raises:
        InvalidRequest: it is none of these, or lacks what such an event has.
    """
    content = _json(body)
    if "ce-type" in headers or "ce-id" in headers:
        told = {name: headers.get(f"ce-{name}") for name in ("id", "source", "type")}
        return _cloud_event(told, content)
    if headers.get("content-type", "").partition(";")[0].strip() == "application/cloudevents+json":
        return _cloud_event(content, content.get("data"))
    return _pushed(content)


def _cloud_event(told: Mapping[str, Any], data: Any) -> ObjectEvent | None:
    kind = _text(told, "type")
    number = _identity(_text(told, "source"), _text(told, "id"))
    if kind == _PUBLISHED:
        return _pushed(_object(data, "data"))
    if kind != FINALIZED:
        return None
    named = _object(data, "data")
    return ObjectEvent(number, _text(named, "bucket"), _text(named, "name"))


def _pushed(content: Mapping[str, Any]) -> ObjectEvent | None:
    message = _object(content.get("message"), "message")
    number = _text(message, "messageId" if "messageId" in message else "message_id")
    attributes = _object(message.get("attributes") or {}, "attributes")
    if "data" in message:
        _decodable(message["data"])
    if attributes.get("eventType") != _FINALIZE:
        return None
    source = str(content.get("subscription", ""))[:_LONGEST]
    return ObjectEvent(
        _identity(source, number), _text(attributes, "bucketId"), _text(attributes, "objectId")
    )


def _json(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The body is no JSON.") from error
    return _object(content, "body")


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRequest(f"The event's {what} is no object.")
    return value


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"The event has no {name}.")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"The event's {name} is no text.") from error
    if size > _LONGEST or "\0" in value:
        raise InvalidRequest(f"The event's {name} is longer than any, or holds a NUL.")
    return value


def _decodable(data: Any) -> None:
    try:
        base64.b64decode(data, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise InvalidRequest("The message's data is not base64.") from error


def _identity(source: str, number: str) -> str:
    joined = f"{source}\0{number}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()
