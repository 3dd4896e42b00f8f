"""Files of every kind, here and in a bucket, are noticed; a large bucket is listed in steps."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lavra.catalog import Catalog
from lavra.errors import SourceError
from lavra.landing.connections import Connection
from lavra.sensors import files
from lavra.sensors.files import FileSensor, Listing
from lavra.settings import Settings
from lavra.storage import LakeStorage, open_storage
from tests.lavra.sensors.test_watch import STOCK, Lake, _empty

__all__ = ["_empty"]  # a fixture


def connection(root: str, *paths: str, connector: str = "jsonl") -> Connection:
    streams = [{"name": f"s{n}", "path": path} for n, path in enumerate(paths)]
    source = {"connector": connector, "config": {"root": root}}
    return Connection.model_validate(STOCK | {"source": source, "streams": streams})


@contextmanager
def in_pages_of(size: int, emulator: str) -> Iterator[tuple[str, list[str]]]:
    """The emulator, which lists all at once, with pages as the real service has them."""
    asked: list[str] = []

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            asked.append(query.get("pageToken", ""))
            sent = {"prefix": query["prefix"]}
            whole = httpx.get(f"{emulator}{url.path}", params=sent, trust_env=False).json()
            items, begin = whole.get("items", []), int(query.get("pageToken", 0))
            page: dict[str, Any] = {"items": items[begin : begin + size]}
            if begin + size < len(items):
                page["nextPageToken"] = str(begin + size)
            body = json.dumps(page).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


def put(storage: LakeStorage, path: str, content: bytes = b"{}") -> None:
    with storage.publish(path) as file:
        file.write(content)


def test_a_bucket_is_listed_in_steps_page_by_page(
    gcs_settings: Settings, gcs_emulator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "FILES_A_LOOK", 3)
    storage = open_storage(gcs_settings)
    for number in range(7):
        put(storage, f"in/part{number}.jsonl")
    for other in ("in/other.txt", "in/deep/part9.jsonl", "elsewhere/part1.jsonl"):
        put(storage, other)
    one = connection(f"{storage.url}/in", "part*.jsonl")
    with in_pages_of(2, gcs_emulator) as (url, asked):
        settings = gcs_settings.model_copy(update={"storage_emulator_host": url})
        sensor = FileSensor(settings)
        assert sensor.look(one) is None
        assert asked == ["", "2"]  # no more than it needs
        assert sensor.look(one) is None
        first = sensor.look(one)
        assert isinstance(first, Listing)
        sensor.look(one)
        put(storage, "in/part8.jsonl")  # while it is listed: this listing has it, or the next
        found = [sensor.look(one) for _ in range(5)]
        assert [listing.fingerprint for listing in found if listing][-1] != first.fingerprint
        again = [listing.fingerprint for listing in found if listing][-1]
        found = [sensor.look(one) for _ in range(3)]
        assert [listing.fingerprint for listing in found if listing] == [again]


def test_a_bucket_that_cannot_be_listed_says_so_and_is_asked_again(
    gcs_settings: Settings,
) -> None:
    storage = open_storage(gcs_settings)
    sensor = FileSensor(gcs_settings)
    with pytest.raises(SourceError, match=r"gs://no-such-bucket.*cannot be listed"):
        sensor.look(connection("gs://no-such-bucket/in", "*"))
    listing = sensor.look(connection(f"{storage.url}/in", "*"))
    assert listing is not None
    assert listing.newest is None  # empty: nothing is due


@pytest.mark.parametrize(
    ("connector", "content"),
    [("jsonl", b'{"id": 1}'), ("parquet", b"")],
)
def test_every_kind_of_file_is_noticed_here(
    project: Path, catalog: Catalog, connector: str, content: bytes
) -> None:
    source = {"connector": connector, "config": {"root": "data"}}
    streams = [{"name": "items", "path": "**/*.dat"}, {"name": "more", "path": "nothing*"}]
    lake = Lake(project, catalog, source=source, streams=streams[:1])
    path = project / "data" / "deep" / "a.dat"
    path.parent.mkdir()
    path.write_bytes(content)
    if connector == "parquet":
        pq.write_table(pa.table({"id": [1]}), path)
    os.utime(path, (time.time() - 60,) * 2)
    assert lake.look() == ["stock: its files changed", "models after ['stock']"]
    assert lake.look() == []


def test_files_of_a_bucket_are_landed_once_and_again_when_they_change(
    gcs_settings: Settings, catalog: Catalog
) -> None:
    storage = open_storage(gcs_settings)
    source = {"connector": "jsonl", "config": {"root": f"{storage.url}/in"}}
    streams = [{"name": "items", "path": "*.jsonl", "sync_mode": "full_refresh_append"}]
    put(storage, "in/a.jsonl", b'{"id": 1}')
    lake = Lake(gcs_settings.project, catalog, source=source, streams=streams)
    lake.watch = lake.watching(gcs_settings)
    later = lake.now_after_settling()
    assert lake.look(later) == ["stock: its files changed", "models after ['stock']"]
    assert lake.look(later) == []
    lake.watch = lake.watching(gcs_settings)
    assert lake.look(later) == ["models after []"]  # a restart lands nothing again
    put(storage, "in/b.jsonl", b'{"id": 2}')
    later = lake.now_after_settling()
    assert lake.look(later) == ["stock: its files changed", "models after ['stock']"]
    assert lake.landings == 2


def test_a_bucket_that_is_away_is_told_once(gcs_settings: Settings, catalog: Catalog) -> None:
    source = {"connector": "csv", "config": {"root": "gs://no-such-bucket/in"}}
    lake = Lake(gcs_settings.project, catalog, source=source)
    lake.watch = lake.watching(gcs_settings)
    lake.watch.run_models = None
    said = lake.look()
    assert "cannot be listed" in said[0]
    assert lake.look() == []
