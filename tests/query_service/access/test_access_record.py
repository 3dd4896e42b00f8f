"""``lavra.access_log``: the access log as a table, for those whom the policy names."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from lavra.access.keys import create_key
from lavra.access.log import Entry, delete_before, insert_entries
from lavra.catalog import Catalog
from lavra.cli.main import build_app
from lavra.errors import CatalogUnavailable
from query_service import access_record
from query_service.access_record import AccessRecord
from query_service.cache.loader import LoadReport
from query_service.cache.segments import open_segment
from query_service.release_store import LoadedRelease
from query_service.releases import Release
from tests.query_service.conftest import Lake, close_lake, make_lake, query, serving, wait_until

POLICY = """
roles:
  analyst: {grants: [{tables: ["*", "*.*", "[l]avra.*", "?avra.access_log"]}]}
  auditor: {grants: [{tables: [lavra.access_log], environments: ["*"]}]}
  own: {grants: [{tables: ["gold_test.*", "lavra.*"], except_columns: [sql]}]}
rows:
  - {tables: [lavra.access_log], roles: [own], filter: "caller = $user and kind = 'key'"}
masks:
  - {tables: [lavra.access_log], columns: [client], mask: hash, roles: [own]}
"""
RECORD = "lavra.access_log"
FAKE_KEY = "lavra_aaaaaaaaaaaa_" + "CANARY" * 7 + "x"
FAKE_TOKEN = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJDQU5BUlkifQ.CANARY"


@dataclass
class Recorded:
    lake: Lake
    clients: dict[str, httpx.Client]

    def ask(self, name: str, sql: str, **body: Any) -> tuple[int, Any]:
        response = self.clients[name].post("/v1/sql", json={"sql": sql, **body})
        found = response.json()
        return response.status_code, found["rows" if response.status_code == 200 else "code"]

    def shipped(self, name: str, caller: str, count: int) -> None:
        """Wait until somebody sees so many queries of a caller."""
        sql = f"select count(*) from {RECORD} where event = 'query' and caller = '{caller}'"
        wait_until(lambda: self.ask(name, sql)[1][0][0] >= count)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    lake = make_lake(tmp_path_factory.mktemp("recorded") / "lake", POLICY, service_engines=1)
    lake.duck.execute("create table lake.gold_test.t as select range as id from range(10)")
    lake.release()
    lake.release(environment="dev")
    keys = {}
    with lake.catalog.connect() as connection:
        for name in ("analyst", "auditor", "own"):
            keys[name] = create_key(connection, name, roles=[name])[1]
    with serving(lake.settings) as client:
        clients = {"loopback": client} | {
            name: httpx.Client(
                base_url=client.base_url, timeout=60, headers={"Authorization": f"Bearer {key}"}
            )
            for name, key in keys.items()
        }
        wait_until(lambda: clients["own"].get("/v1/snapshot").status_code == 200)
        yield Recorded(lake, clients)
        for name in keys:
            clients[name].close()
    close_lake(lake)


def test_only_who_is_granted_it_by_name_sees_it(recorded: Recorded) -> None:
    for sql in (
        f"select * from {RECORD}",
        'select count(*) from LAVRA."access_log"',
        f"with a as (select 1) select * from a, {RECORD}",
        f"explain select * from {RECORD}",
        f"describe {RECORD}",
    ):
        assert recorded.ask("auditor", sql)[0] == 200, sql
        assert recorded.ask("loopback", sql)[0] == 200, sql
        assert recorded.ask("analyst", sql) == (404, "unknown_table"), sql
    listed = "select table_name from information_schema.{} where table_name = 'access_log' limit 1"
    for view in ("tables", "columns"):
        assert recorded.ask("auditor", listed.format(view)) == (200, [["access_log"]])
        assert recorded.ask("analyst", listed.format(view)) == (200, [])
    path = "/v1/tables/lavra/access_log"
    assert recorded.clients["auditor"].get(path).json()["grain"] == ["id"]
    assert recorded.clients["analyst"].get(path).json()["code"] == "unknown_table"
    # It is no table of the release: neither the list nor `lavra.tables` has it.
    for name in ("auditor", "analyst"):
        assert RECORD not in recorded.clients[name].get("/v1/tables").text
        sql = "select count(*) from lavra.tables where table_name = 'access_log'"
        assert recorded.ask(name, sql) == (200, [[0]])
    # A grant has its environments here too.
    assert recorded.ask("auditor", f"select 1 from {RECORD} limit 1", environment="dev")[0] == 200
    assert recorded.ask("own", f"select 1 from {RECORD}", environment="dev")[0] == 404


def test_it_says_what_the_command_says(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded.ask("analyst", "select 'São\n\"Paulo\", ''x''' as s, count(*) from gold_test.t")
    recorded.ask("analyst", "drop table gold_test.t")
    recorded.ask("analyst", "select nope from gold_test.t")
    recorded.shipped("auditor", "analyst", 3)
    monkeypatch.chdir(recorded.lake.settings.project)
    told = CliRunner().invoke(build_app(), ["access", "log", "-n", "100000", "--json"])
    assert told.exit_code == 0, told.output
    command = {entry["id"]: entry for entry in json.loads(told.stdout)}
    answer = query(recorded.clients["auditor"], f"select * from {RECORD}")
    names = [column["name"] for column in answer["columns"]]
    shown = {row[names.index("id")]: dict(zip(names, row, strict=True)) for row in answer["rows"]}
    both = command.keys() & shown.keys()
    assert len(both) >= 10
    # What was asked in between is in one of them only, and newer than the rest.
    assert all(e["caller"] == "auditor" for i, e in command.items() if i not in both)
    assert all(e["caller"] == "auditor" for i, e in shown.items() if i not in both)
    for entry_id in both:
        said, seen = command[entry_id], dict(shown[entry_id])
        at = dt.datetime.fromisoformat(seen.pop("at")).replace(tzinfo=dt.UTC)
        assert at == dt.datetime.fromisoformat(said["at"])
        for name in ("tables", "columns"):
            assert seen.pop(name) == (", ".join(said[name]) if said[name] else None)
        assert seen == {name: said[name] for name in seen}
    outcomes = {e["sql"]: (e["outcome"], e["code"]) for e in shown.values() if e["sql"]}
    assert outcomes["drop table gold_test.t"] == ("refused", "statement_not_allowed")


def test_rules_and_masks_hold_on_it(recorded: Recorded) -> None:
    recorded.ask("own", "select 1 as mine")
    recorded.shipped("loopback", "own", 1)
    assert recorded.ask("own", f"select distinct kind, caller from {RECORD}") == (
        200, [["key", "own"]],
    )  # fmt: skip
    assert recorded.ask("own", f"select sql from {RECORD}") == (400, "invalid_sql")
    assert recorded.ask("own", f"select max(length(client)) from {RECORD}") == (200, [[64]])


def test_it_is_read_only_and_never_kept(recorded: Recorded) -> None:
    for name in ("auditor", "loopback"):
        for sql in (
            f"delete from {RECORD}", f"update {RECORD} set caller = 'x'", f"drop table {RECORD}",
            f"insert into {RECORD} select * from {RECORD}", f"truncate table {RECORD}",
            f"copy {RECORD} to '/tmp/x.csv'",
        ):  # fmt: skip
            assert recorded.ask(name, sql)[0] in {400, 403}, sql
    client = recorded.clients["auditor"]
    for _ in range(2):
        got = client.get("/v1/sql", params={"query": f"select min(at) from {RECORD}"})
        assert (got.status_code, got.headers["X-Lavra-Cache"]) == (200, "miss")
        assert "ETag" not in got.headers
    through = query(client, f"select max(at) from {RECORD}")
    assert through["snapshot"]["data_through"].rstrip("Z") == through["rows"][0][0]


def test_no_key_that_somebody_pastes_is_in_it(recorded: Recorded) -> None:
    for secret in (FAKE_KEY, FAKE_TOKEN):
        assert recorded.ask("own", f"select length('{secret}')") == (200, [[len(secret)]])
    recorded.shipped("loopback", "own", 3)
    told = query(recorded.clients["loopback"], f"select * from {RECORD} where event = 'query'")
    listed = recorded.clients["loopback"].get("/v1/queries").text
    assert "lavra_aaaaaaaaaaaa_***" in listed
    for text in (json.dumps(told), listed):
        assert "CANARYCANARY" not in text
        assert FAKE_TOKEN not in text


def test_engines_forget_what_the_log_was(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_record, "REREAD_S", 0.0)
    counts = []
    for _ in range(8):
        _entries(recorded.lake.catalog, 0)
        counts.append(recorded.ask("auditor", f"select count(*) from {RECORD}")[1][0][0])
    assert counts == sorted(set(counts))
    assert mapped_and_deleted() <= 2


def mapped_and_deleted() -> int:
    """Return how many segments of the log some engine holds that are not on disk any more."""
    found = set()
    for engine in psutil.Process().children(recursive=True):
        try:
            lines = Path(f"/proc/{engine.pid}/maps").read_text().splitlines()
        except OSError:  # it ended meanwhile
            continue
        found |= {
            line.split()[5] for line in lines if "/access-log/" in line and "(deleted)" in line
        }
    return len(found)


def _loaded(path: Path) -> LoadedRelease:
    now = dt.datetime.now(dt.UTC)
    release = Release(1, "prod", 1, now, "plan", None, None, [])
    return LoadedRelease(release, path / "1.json", LoadReport(), now)


def _segments(folder: Path) -> dict[str, int]:
    """The segments on disk, and when each was written."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*.seg")}


def _entries(catalog: Catalog, *days: float) -> None:
    now = dt.datetime.now(dt.UTC)
    with catalog.connect() as connection:
        insert_entries(
            connection,
            [
                Entry(event="key", outcome="created", detail="", at=now - dt.timedelta(days=day))
                for day in days
            ],
        )


def _ages(record: AccessRecord) -> list[int]:
    """The age in days of each entry that is held."""
    held = record._held
    assert held is not None
    batches = [b for path in held.table.segments for b in open_segment(Path(path)).batches]
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    ages = [
        round((now - at).total_seconds() / 86400) for b in batches for at in b["at"].to_pylist()
    ]
    assert len(ages) == held.table.row_count
    return ages


def test_only_what_changed_is_read_and_retention_holds(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(read_again(catalog, tmp_path, monkeypatch))


async def read_again(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_record, "REREAD_S", 0.0)
    record, loaded = AccessRecord(catalog, tmp_path / "log"), _loaded(tmp_path)
    await record.beside(loaded)
    assert _ages(record) == []
    _entries(catalog, 40, 3, 3, 0)
    first = await record.beside(loaded)
    assert _ages(record) == [40, 3, 3, 0]
    assert await record.beside(loaded) is first
    before = _segments(tmp_path)

    _entries(catalog, 3)  # it was shipped late
    second = await record.beside(loaded)
    assert _ages(record) == [40, 3, 3, 3, 0]
    after = _segments(tmp_path)
    assert len(after.keys() - before.keys()) == 1
    assert before.items() <= after.items()
    # What a query still reads stays until the query has ended.
    first.uses = 1
    record.free([])
    assert before.items() <= _segments(tmp_path).items()
    assert record.files == {str(first.file), str(second.file)}
    first.uses = 0

    with catalog.connect() as connection:
        delete_before(connection, dt.datetime.now(dt.UTC) - dt.timedelta(days=30))
    await record.beside(loaded)
    record.free([])
    assert _ages(record) == [3, 3, 3, 0]
    assert len(_segments(tmp_path)) == 2

    # No more than so many, in whole days, the newest first.
    monkeypatch.setattr(access_record, "MOST_ENTRIES", 2)
    await record.beside(loaded)
    assert _ages(record) == [0]


def test_while_the_catalog_is_away_it_is_as_it_was(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(read_without(catalog, tmp_path, monkeypatch))


async def read_without(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_record, "REREAD_S", 0.0)
    record = AccessRecord(catalog, tmp_path / "log")
    _entries(catalog, 0)
    with monkeypatch.context() as away:
        away.setattr(catalog, "to_libpq", lambda: "host=127.0.0.1 port=1 dbname=no")
        with pytest.raises(CatalogUnavailable):
            await record._read()
    await record._read()
    with monkeypatch.context() as away:
        away.setattr(catalog, "to_libpq", lambda: "host=127.0.0.1 port=1 dbname=no")
        assert await asyncio.gather(record._read(), record._read())
        assert _ages(record) == [0]
