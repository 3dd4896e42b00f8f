"""Restricted copies fail closed, stay bounded, and follow the policy's files."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
import hmac
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from lavra.access.caller import Caller
from lavra.access.policy import Quota, load_policy
from lavra.access.rights import Rights, RowFilter, TableRights
from lavra.errors import ConfigurationError, ResourcesExhausted, TooManyQueries
from query_service.access_rules import AccessRules
from query_service.cache.loader import LoadReport
from query_service.cache.release_file import CachedTable
from query_service.cache.restricted import HashKey, RestrictedWriter
from query_service.cache.segments import open_segment, servable_schema, write_segment
from query_service.policy_source import PolicySource
from query_service.quotas import Quotas
from query_service.release_store import LoadedRelease
from query_service.releases import Release, ReleaseTable
from query_service.views import Views

SCHEMA = pa.schema([("id", pa.int64()), ("code", pa.string()), ("tags", pa.list_(pa.string()))])
ROWS: list[dict[str, Any]] = [
    {"id": 1, "code": "7", "tags": ["a"]}, {"id": 2, "code": "CANARY", "tags": None},
]  # fmt: skip


def held(folder: Path) -> CachedTable:
    path = folder / "whole.seg"
    schema = servable_schema(SCHEMA)
    count = write_segment(path, schema, pa.Table.from_pylist(ROWS, SCHEMA).to_batches())
    return CachedTable("gold_test", "t", schema, (str(path),), path.stat().st_size, count)


def restrict(folder: Path, own: TableRights, claim: Any = lambda *_: None) -> list[CachedTable]:
    writer = RestrictedWriter(folder / "copies", HashKey(b"k" * 100), claim)
    return writer.write(folder / "r.json", [held(folder)], Rights({own.name: own}))


def test_a_rule_that_fails_hides_the_table_and_tells_no_value(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = TableRights("gold_test.t", (("id", None),), (RowFilter("code::int > 0", ()),))
    assert restrict(tmp_path, own) == []
    assert "gold_test.t" in caplog.text
    assert "CANARY" not in caplog.text


def test_what_is_wholly_visible_is_shared_not_copied(tmp_path: Path) -> None:
    whole = str(tmp_path / "whole.seg")
    for filters in ((), (RowFilter("id > 0", ()),)):
        own = TableRights("gold_test.t", (("id", None),), filters)
        (table,) = restrict(tmp_path, own)
        assert table.segments == (whole,)
        assert table.schema.names == ["id"]
    assert not list(tmp_path.glob("copies/segments/*/*"))


def test_a_hash_is_hmac_and_nested_columns_stay(tmp_path: Path) -> None:
    own = TableRights(
        "gold_test.t", (("code", "hash"), ("tags", None)), (RowFilter("id = $n", (("n", 1),)),)
    )
    (table,) = restrict(tmp_path, own)
    (batch,) = open_segment(Path(table.segments[0]))[1]
    expected = hmac.new(b"k" * 100, b"7", hashlib.sha256).hexdigest()
    assert batch.to_pylist() == [{"code": expected, "tags": ["a"]}]


def test_values_are_bound(tmp_path: Path) -> None:
    own = TableRights(
        "gold_test.t", (("id", None),), (RowFilter("code = $c", (("c", "7' or '1' = '1"),)),)
    )
    (table,) = restrict(tmp_path, own)
    assert (table.segments, table.row_count) == ((), 0)


def test_a_changed_policy_holds_and_a_wrong_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "access" / "policy.yaml"
    path.parent.mkdir()
    path.write_text("roles: {a: {}}")
    source = PolicySource(tmp_path)
    assert source.policy == load_policy(tmp_path)
    for number, (text, roles) in enumerate(
        [("roles: {b: {}}", {"b"}), ("roles: [", {"b"}), ("roles: {c: {}}", {"c"})]
    ):
        path.write_text(text)
        os.utime(path, (number, number))
        source.look_again()
        assert source.policy is not None
        assert set(source.policy.roles) == roles
    path.unlink()
    source.look_again()
    assert source.policy is None
    path.write_text("roles: [")
    with pytest.raises(ConfigurationError):
        PolicySource(tmp_path)
    asyncio.run(source.close())


def test_quotas_count_each_caller_by_itself() -> None:
    now = 0.0
    quotas = Quotas(lambda: now)
    quota = Quota(queries_per_minute=2, bytes_per_hour=10, concurrency=1)
    with quotas.query("a", quota) as sent:
        sent(4)
        with pytest.raises(TooManyQueries, match="at the same time"), quotas.query("a", quota):
            pass
        with quotas.query("b", quota):
            pass
    with quotas.query("a", quota) as sent:
        sent(6)
    with pytest.raises(TooManyQueries, match="a minute"), quotas.query("a", quota):
        pass
    now = 61.0
    with pytest.raises(TooManyQueries, match="an hour"), quotas.query("a", quota):
        pass
    now = 3700.0
    with quotas.query("a", quota):
        pass


class OneRelease:
    """A store that has one release of prod."""

    def __init__(self, loaded: LoadedRelease) -> None:
        self.loaded = loaded
        self.more_files: Any = set

    @contextlib.asynccontextmanager
    async def use(self, *_: Any) -> AsyncIterator[LoadedRelease]:
        yield self.loaded

    def all_current(self) -> dict[str, LoadedRelease]:
        return {"prod": self.loaded}

    async def keep_files(self) -> None:
        pass


def test_copies_take_no_more_than_they_may(tmp_path: Path) -> None:
    asyncio.run(take_copies(tmp_path))


async def take_copies(tmp_path: Path) -> None:
    (tmp_path / "access").mkdir()
    (tmp_path / "access" / "policy.yaml").write_text(
        "roles: {all: {given_to: {everyone: true}, grants: [{tables: ['*']}]}}\n"
        "rows: [{tables: ['*'], filter: \"code <> $user\"}]\n"
        "masks: [{columns: [code], mask: last_four}]\n"
    )
    table = held(tmp_path)
    described = ReleaseTable(
        "gold_test", "t", "p", "t", "", [{"name": "id"}], [], None, [], [], 2, 1, None
    )
    release = Release(1, "prod", 1, dt.datetime.now(dt.UTC), "plan", None, None, [described])
    loaded = LoadedRelease(
        release, tmp_path / "1.json", LoadReport(cached=[table]), dt.datetime.now(dt.UTC)
    )
    store: Any = OneRelease(loaded)
    rules = AccessRules(PolicySource(tmp_path), HashKey(b"k"), table.bytes * 3)
    record: Any = SimpleNamespace(files=set())
    views = Views(store, rules, tmp_path, record)
    for number in range(8):
        async with views.use(Caller(f"user{number}", "key"), "prod") as view:
            assert view.report.cached[0].row_count == 2
        assert views.bytes <= table.bytes * 3
    assert views.bytes > table.bytes
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(ResourcesExhausted):
            for number in range(8):
                await stack.enter_async_context(views.use(Caller(f"u{number}", "key"), "prod"))
    first = Caller("user0", "key"), Caller("user0", "key", frozenset({"more"}))
    async with views.use(first[0], "prod") as one, views.use(first[1], "prod") as other:
        assert one is other
