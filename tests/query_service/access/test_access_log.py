"""The access log: what is answered is in it, whatever kills the service."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from lavra.access.caller import LOOPBACK
from lavra.access.log import Entry, delete_before, insert_entries, list_entries
from lavra.catalog import Catalog
from lavra.errors import CatalogError, LavraError
from lavra.settings import Settings
from query_service import access_log
from query_service.access_log import AccessLog
from query_service.queries import QueryRecord
from tests.conftest import free_port
from tests.query_service.conftest import Lake, query, serving, wait_until

LAVRA = str(Path(sys.executable).parent / "lavra")
CLIENTS = 4


def record(sql: str = "select 1", **more: object) -> QueryRecord:
    return QueryRecord(more.pop("query_id", "q" * 8), sql, "prod", LOOPBACK, "json", **more)  # type: ignore[arg-type]


def entries(catalog: Catalog, **options: object) -> list[dict[str, object]]:
    with catalog.connect() as connection:
        return list_entries(connection, **options)  # type: ignore[arg-type]


def serve(lake: Lake, port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [LAVRA, "serve", "--port", str(port)],
        cwd=lake.settings.project,
        env={**os.environ, "LAVRA_SERVICE_ALLOW_LOOPBACK": "true"},
        stderr=subprocess.DEVNULL,
    )

    def ready() -> bool:
        assert process.poll() is None
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(ready, timeout_s=120)
    return process


def ask_many(
    port: int, numbers: range, half: int, answered: list[str], enough: threading.Event
) -> None:
    """Ask until the service is gone; note the id of each query whose whole answer came."""
    # Not httpx: in 10,000 queries it would take most of the time.
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as client:
        for count in numbers:
            try:
                client.request("POST", "/v1/sql", json.dumps({"sql": f"select {count % 50} as n"}))
                answer = client.getresponse()
                rows = json.loads(answer.read())["rows"]
            except (OSError, http.client.HTTPException):
                return
            assert rows == [[count % 50]]
            answered.append(answer.headers["X-Lavra-Query-Id"])
            if len(answered) >= half:
                enough.set()


@pytest.mark.parametrize("queries", [2_000, pytest.param(10_000, marks=pytest.mark.soak)])
def test_a_kill_loses_no_answered_query(lake: Lake, queries: int) -> None:
    lake.duck.execute("create table lake.gold_test.t as select 1 as id")
    lake.release()
    port = free_port()
    process = serve(lake, port)
    answered: list[str] = []
    enough = threading.Event()
    threads = [
        threading.Thread(
            target=ask_many,
            args=(port, range(n, queries, CLIENTS), queries // 2, answered, enough),
        )
        for n in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    try:
        assert enough.wait(timeout=200)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
        for thread in threads:
            thread.join()
    assert queries // 2 <= len(answered) < queries

    process = serve(lake, port)  # it ships what the killed one left
    try:
        folder = lake.settings.state / "service" / "access-log"
        wait_until(lambda: not list(folder.glob("*.jsonl")), timeout_s=60)
    finally:
        process.terminate()
        process.wait(timeout=60)
    with lake.catalog.connect() as connection:
        rows = connection.execute("select query_id, id from lavra.access_log").fetchall()
    recorded = {row[0] for row in rows}
    print(f"{len(answered)} answered before the kill, {len(recorded)} recorded")
    assert set(answered) - recorded == set()
    assert len({row[1] for row in rows}) == len(rows)


def test_an_entry_says_who_asked_what(lake: Lake) -> None:
    lake.duck.execute("create table lake.gold_test.t as select range as id from range(400000)")
    lake.release()
    with serving(lake.settings) as client:
        for _ in range(2):
            query(client, "select count(*) as n from gold_test.t")
        streamed = client.post(
            "/v1/sql", json={"sql": "select * from gold_test.t"}, headers={"Accept": "text/csv"}
        )
        client.post("/v1/sql", json={"sql": "select nope from gold_test.t"})
        client.post("/v1/sql", json={"sql": "drop table gold_test.t"})
        url = "/v1/sql?query=select+1+as+one"
        etag = client.get(url).headers["ETag"]
        assert client.get(url, headers={"If-None-Match": etag}).status_code == 304
        client.get("/v1/snapshot", headers={"Authorization": "Bearer wrong"})
        wait_until(lambda: len(entries(lake.catalog)) == 8)
        found = list(reversed(entries(lake.catalog)))
        assert len(entries(lake.catalog, refused=True)) == 2
        assert len(entries(lake.catalog, user="loopback")) == 7
        assert entries(lake.catalog, since=dt.datetime.now(dt.UTC)) == []
    first, again, stream, failed, refused, _, unmodified, wrong = found
    assert (first["caller"], first["kind"], first["client"]) == (
        "loopback",
        "loopback",
        "127.0.0.1",
    )
    assert (first["tables"], first["row_count"], first["cached"]) == (["gold_test.t"], 1, False)
    assert [e["columns"] for e in (first, again, stream)] == [None, None, ["gold_test.t.id"]]
    assert first["duration_ms"] > 0  # type: ignore[operator]
    assert again["cached"] is True
    assert (stream["bytes"], stream["row_count"]) == (len(streamed.content), 400_000)
    assert (failed["outcome"], failed["code"]) == ("failed", "invalid_sql")
    assert (refused["outcome"], refused["code"]) == ("refused", "statement_not_allowed")
    assert unmodified["outcome"] == "not_modified"
    assert (wrong["event"], wrong["code"], wrong["caller"]) == ("refusal", "unauthenticated", None)


@pytest.fixture
def log(settings: Settings, catalog: Catalog) -> Iterator[AccessLog]:
    """A log that ships only when it is told to."""
    made = AccessLog(settings, catalog)
    made._folder.mkdir(parents=True)
    yield made
    if made._file:
        made._file.close()


def test_shipping_twice_keeps_one(log: AccessLog, catalog: Catalog) -> None:
    log.add_query(record("select 'São\0Paulo'"), "finished")
    path = next(log._folder.iterdir())
    copy = path.read_bytes()
    log.ship()
    assert list(log._folder.iterdir()) == []
    path.write_bytes(copy + b'{"id": "torn by a ki')
    log.ship()
    (entry,) = entries(catalog)
    assert entry["sql"] == "select 'São\ufffdPaulo'"


def test_a_catalog_that_is_away_delays_only(
    log: AccessLog, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        away.setattr(catalog, "to_libpq", lambda: "host=127.0.0.1 port=1 dbname=no")
        log.add_query(record(), "finished")
        with pytest.raises(CatalogError):
            log.ship()
        log.add_query(record(), "finished")
    log.ship()
    assert len(entries(catalog)) == 2


def test_what_cannot_be_recorded_is_not_answered(
    log: AccessLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(access_log.os, "write", full)
    with pytest.raises(LavraError, match="nothing is answered"):
        log.add_query(record(), "finished")


def test_a_line_cut_short_by_a_full_disk_spoils_no_other(
    log: AccessLog, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        if not data.startswith(b"{"):
            raise OSError(28, "No space left on device")
        return write(descriptor, data[: len(data) // 2])

    log.add_query(record("select 1"), "finished")
    with monkeypatch.context() as full:
        full.setattr(access_log.os, "write", half)
        with pytest.raises(LavraError, match="nothing is answered"):
            log.add_query(record("select 2"), "finished")
    log.add_query(record("select 3"), "finished")
    log.ship()
    assert {entry["sql"] for entry in entries(catalog)} == {"select 1", "select 3"}
    assert list(log._folder.iterdir()) == []


def test_the_record_is_only_ever_added_to(catalog: Catalog) -> None:
    now = dt.datetime.now(dt.UTC)
    with catalog.connect() as connection:
        ages = (0.5, 2, 40)
        insert_entries(
            connection,
            [Entry(event="key", outcome="created", at=now - dt.timedelta(days=d)) for d in ages],
        )
    for statement in (
        "update lavra.access_log set caller = 'nobody'",
        "delete from lavra.access_log",
        "truncate lavra.access_log",
    ):
        with pytest.raises(CatalogError, match="append-only"), catalog.connect() as connection:
            connection.execute(psycopg.sql.SQL(statement))
    with catalog.connect() as connection:
        assert delete_before(connection, now - dt.timedelta(days=30)) == 1
    assert len(entries(catalog)) == 2


def test_only_a_digest_where_the_setting_says_so(settings: Settings, catalog: Catalog) -> None:
    log = AccessLog(settings.model_copy(update={"access_log_sql": "digest"}), catalog)
    log._folder.mkdir(parents=True)
    log.add_query(record("select 'a name'"), "finished")
    log.ship()
    (entry,) = entries(catalog)
    assert entry["sql"] is None
    assert len(str(entry["sql_sha256"])) == 64


def test_standard_output_is_lines_for_cloud_logging(
    settings: Settings, catalog: Catalog, capfd: pytest.CaptureFixture[str]
) -> None:
    log = AccessLog(settings.model_copy(update={"access_log": "stdout"}), catalog)
    log.start()
    log.add_query(record("select 1", client="10.0.0.1"), "finished")
    log.stop()
    line = json.loads(capfd.readouterr().out)
    assert line["severity"] == "INFO"
    assert (line["access"]["sql"], line["access"]["client"]) == ("select 1", "10.0.0.1")
    assert line["timestamp"] == line["access"]["at"]
