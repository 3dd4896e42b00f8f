"""Events as Eventarc and Pub/Sub push them: each form, and what a hostile sender makes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lavra.errors import InvalidRequest
from lavra.sensors.events import FINALIZED, ObjectEvent, parse_event

DATA = {"bucket": "b", "name": "in/a.csv", "generation": "17", "size": "3"}
HEADERS = {
    "content-type": "application/json", "ce-id": "1", "ce-source": "//storage.googleapis.com/b",
    "ce-type": FINALIZED, "ce-specversion": "1.0", "ce-subject": "objects/in/a.csv",
}  # fmt: skip
PLAIN = {"content-type": "application/json"}
STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
WHOLE = {"id": "1", "source": "//storage.googleapis.com/b", "type": FINALIZED, "data": DATA}


def pushed(**attributes: Any) -> dict[str, Any]:
    told = {"bucketId": "b", "objectId": "in/a.csv", "eventType": "OBJECT_FINALIZE"} | attributes
    message = {"messageId": "9", "publishTime": "2026-01-01T00:00:00Z", "data": "e30="}
    return {"message": message | {"attributes": told}, "subscription": "projects/p/subscriptions/s"}


def parse(headers: dict[str, str], content: Any) -> ObjectEvent | None:
    return parse_event(headers, json.dumps(content).encode())


def test_each_form_tells_of_the_object() -> None:
    binary, structured = parse(HEADERS, DATA), parse(STRUCTURED, WHOLE)
    assert binary == structured  # the same event, whatever form it has
    through_eventarc = parse(
        HEADERS | {"ce-type": "google.cloud.pubsub.topic.v1.messagePublished"}, pushed()
    )
    plain = parse(PLAIN, pushed())
    assert plain == through_eventarc
    for event in (binary, plain):
        assert event is not None
        assert (event.bucket, event.name) == ("b", "in/a.csv")
    assert binary != plain
    other = parse(HEADERS | {"ce-source": "//storage.googleapis.com/other"}, DATA)
    assert other is not None
    assert other.id != binary.id  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        (HEADERS | {"ce-type": "google.cloud.storage.object.v1.deleted"}, DATA),
        (HEADERS | {"ce-type": "com.example.anything"}, {}),
        (PLAIN, pushed(eventType="OBJECT_DELETE")),
        (PLAIN, {"message": {"messageId": "1"}}),
        (PLAIN, {"message": {"message_id": "1", "attributes": None}}),
    ],
)
def test_another_kind_of_event_is_none(headers: dict[str, str], content: Any) -> None:
    assert parse(headers, content) is None


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (PLAIN, b""),
        (PLAIN, b"\xff\xfe"),
        (PLAIN, b"[" * 100_000),
        (PLAIN, b"1" * 10_000),
        (PLAIN, b"[]"),
        (PLAIN, b"{}"),
        (PLAIN, b'{"message": []}'),
        (PLAIN, b'{"message": {}}'),
        (PLAIN, b'{"message": {"messageId": 5}}'),
        (PLAIN, b'{"message": {"messageId": "1", "attributes": []}, "x": NaN'),
        (PLAIN, json.dumps(pushed(objectId="a\0b")).encode()),
        (PLAIN, json.dumps(pushed(objectId="\ud800")).encode()),
        (PLAIN, json.dumps(pushed(objectId="x" * 1025)).encode()),
        (PLAIN, json.dumps(pushed(bucketId="")).encode()),
        (PLAIN, json.dumps(pushed(bucketId={"$gt": ""})).encode()),
        (PLAIN, json.dumps({"message": {"messageId": "1", "data": "?"}}).encode()),
        (PLAIN, json.dumps({"message": {"messageId": "1", "data": 5}}).encode()),
        ({"ce-id": "1", "content-type": "application/json"}, json.dumps(DATA).encode()),
        ({**HEADERS, "ce-id": ""}, json.dumps(DATA).encode()),
        (HEADERS, b'{"bucket": "b"}'),
        (HEADERS, b"null"),
        (STRUCTURED, json.dumps(WHOLE | {"data": "text"}).encode()),
        (STRUCTURED, json.dumps(DATA).encode()),
    ],
)
def test_what_is_malformed_is_refused(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_event(headers, body)


def test_a_hostile_subscription_name_is_no_trouble() -> None:
    content = pushed() | {"subscription": "\ud800" * 10_000}
    assert parse(PLAIN, content) is not None
    assert parse(PLAIN, pushed() | {"subscription": {"a": 1}}) is not None
