"""Exports of releases: whole, of one release, only what is open, and safe against any death."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from lavra.catalog import Catalog, open_catalog
from lavra.cli.main import build_app
from lavra.ducklake import attach_lake, connect_duckdb
from lavra.errors import ReleaseError, StorageError
from lavra.releases import export as exporting
from lavra.releases.export import KEPT, Export, export_release
from lavra.releases.lake_writes import newest_snapshot
from lavra.releases.store import insert_release
from lavra.settings import Settings, load_settings
from lavra.storage import LakeStorage, open_storage
from tests.conftest import BUCKET
from tests.lavra.releases.test_store import a_table

OPEN = 'roles: {analyst: {grants: [{tables: ["*"]}]}}\n'
TABLES = ("orders", "totals")
SOAK = pytest.mark.soak


class Lake:
    """A lake in a bucket: two physical tables, and releases of them."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self.settings, self.catalog = settings, catalog
        self.storage = open_storage(settings)
        self.duckdb = connect_duckdb(self.storage)
        attach_lake(self.duckdb, catalog, self.storage)

    def empty(self) -> None:
        """Forget what another test did."""
        with self.catalog.connect() as connection:
            connection.execute("delete from lavra.release_table")
            connection.execute("delete from lavra.release")
        self.storage.delete([file.path for file in self.storage.list_files("export")])
        shutil.rmtree(self.settings.project / "access", ignore_errors=True)
        (self.settings.project / "access").mkdir()
        self.policy(OPEN)
        self.write(
            "drop schema if exists lake.p cascade; create schema lake.p; "
            "create table lake.p.orders "
            "(id bigint, total hugeint, made timestamp_s, key uuid, email varchar); "
            "create table lake.p.totals (n bigint)"
        )

    def policy(self, text: str) -> None:
        (self.settings.project / "access" / "policy.yaml").write_text(text)

    def write(self, sql: str) -> None:
        self.duckdb.execute(sql)

    def release(self, *, tags: list[str] | None = None) -> int:
        tables = []
        for table in TABLES:
            found = self.duckdb.execute(f"describe lake.p.{table}").fetchall()
            columns: list[dict[str, Any]] = [
                {"name": c, "type": kind, "description": "", "tags": []} for c, kind, *_ in found
            ]
            columns[-1]["tags"] = tags or []
            rows = self.duckdb.execute(f"select count(*) from lake.p.{table}").fetchall()[0][0]
            tables.append(
                replace(
                    a_table(), schema_name="gold_shop", table_name=table, physical_schema="p",
                    physical_table=table, columns=columns, row_count=rows,
                )
            )  # fmt: skip
        with self.catalog.connect() as connection:
            snapshot = newest_snapshot(connection)
            assert snapshot is not None
            return insert_release(
                connection, environment="prod", snapshot_id=snapshot, cause="run", tables=tables
            )

    def export(self) -> Export:
        return export_release(self.catalog, self.storage, self.settings.project)

    def outcomes(self) -> dict[str, str]:
        return {table.name.split(".")[1]: table.outcome for table in self.export().tables}

    def read(self, table: str = "orders") -> list[tuple[Any, ...]]:
        """Read a table as BigQuery does: by its manifest, and by no listing."""
        with self.storage.open_input(f"export/prod/tables/gold_shop.{table}.manifest") as stream:
            urls = stream.read().decode().splitlines()
        rows: list[tuple[Any, ...]] = []
        for url in urls:
            assert self.storage.is_local or url.startswith("gs://")
            path = url.removeprefix(self.storage.url_of("")).lstrip("/")
            with self.storage.open_input(path) as stream:
                rows += [tuple(row.values()) for row in pq.read_table(stream).to_pylist()]
        assert urls
        return sorted(rows)

    def files(self) -> set[str]:
        return {file.path for file in self.storage.list_files("export/prod/data")}


@pytest.fixture(scope="module", params=["file", pytest.param("gs", marks=pytest.mark.soak)])
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lake]:
    """A lake on this machine's disk; in the soak, once more in a bucket."""
    with opened(
        tmp_path_factory.mktemp("export"), request, in_bucket=request.param == "gs"
    ) as lake:
        yield lake


@contextmanager
def opened(project: Path, request: pytest.FixtureRequest, *, in_bucket: bool) -> Iterator[Lake]:
    (project / "lavra.toml").write_text('name = "test"\n')
    with pytest.MonkeyPatch.context() as environment:
        if in_bucket:
            environment.setenv("STORAGE_EMULATOR_HOST", request.getfixturevalue("gcs_emulator"))
            environment.setenv("LAVRA_LAKE_URL", f"gs://{BUCKET}/export-{uuid.uuid4().hex}")
        settings = load_settings(project)
    catalog = open_catalog(settings)
    lake = Lake(settings, catalog)
    yield lake
    lake.duckdb.close()
    assert catalog.server is not None
    catalog.server.leave()


@pytest.fixture
def lake(shared: Lake) -> Lake:
    shared.empty()
    return shared


ROW = "insert into lake.p.orders values ({0}, 1234567890123, '2026-01-02 03:04:05', "
ROW += "'0a0a0a0a-0000-0000-0000-000000000000', 'a@b.c')"


def test_in_a_bucket(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The least of what the soak shows of a bucket: the manifests' URLs, and the files there."""
    with opened(tmp_path, request, in_bucket=True) as lake:
        lake.empty()
        lake.write(ROW.format(1))
        lake.release()
        assert lake.outcomes() == {"orders": "written", "totals": "written"}
        assert [row[0] for row in lake.read()] == [1]


def test_readers_see_the_release_and_not_what_came_after(lake: Lake) -> None:
    with pytest.raises(ReleaseError, match="has no release"):
        lake.export()
    lake.write(ROW.format(1))
    lake.release()
    lake.write(ROW.format(2))
    assert lake.outcomes() == {"orders": "written", "totals": "written"}
    assert lake.read() == [
        (1, 1234567890123, datetime(2026, 1, 2, 3, 4, 5),
         "0a0a0a0a-0000-0000-0000-000000000000", "a@b.c")
    ]  # fmt: skip
    assert lake.read("totals") == []  # an empty table is a file without rows

    # Only what the release changed is written again; a second time, nothing is.
    lake.release()
    assert lake.outcomes() == {"orders": "written", "totals": "unchanged"}
    assert [row[0] for row in lake.read()] == [1, 2]
    before = lake.files()
    assert lake.outcomes() == {"orders": "unchanged", "totals": "unchanged"}
    assert lake.files() == before


def test_the_earlier_export_stays_for_a_day(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.release()
    lake.export()
    earlier = lake.files()
    lake.write(ROW.format(1))
    lake.release()
    lake.export()
    assert earlier < lake.files()

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + KEPT + timedelta(minutes=1)

    monkeypatch.setattr(exporting, "datetime", Later)
    lake.export()
    left = {path.rsplit("/", 1)[1] for path in lake.files() & earlier}
    assert left == {"gold_shop.totals.parquet"}  # still in use
    assert [row[0] for row in lake.read()] == [1]


@pytest.mark.parametrize("step", [*(pytest.param(n, marks=SOAK) for n in (1, 2, 3)), 4])
def test_it_may_die_at_any_step(lake: Lake, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Die at each thing that is put into the bucket: readers have one release or the other."""
    lake.write(ROW.format(1) + "; insert into lake.p.totals values (1)")
    lake.release()
    lake.export()
    lake.write(ROW.format(2) + "; insert into lake.p.totals values (2)")
    lake.release()
    seen = 0

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == step:
                raise KeyboardInterrupt
            return call(*arguments)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(exporting, "_copy", dying(exporting._copy))
        patch.setattr(LakeStorage, "publish", dying(LakeStorage.publish))
        with pytest.raises(KeyboardInterrupt):
            lake.export()
    orders, totals = [row[0] for row in lake.read()], [row[0] for row in lake.read("totals")]
    # Two files, then the manifests one after the other, then current.json.
    assert (orders, totals) == (
        ([1, 2] if step > 3 else [1]),
        ([1, 2] if step > 4 else [1]),
    )
    assert set(lake.outcomes().values()) == {"written"}
    assert [row[0] for row in lake.read("totals")] == [1, 2]
    assert [row[0] for row in lake.read()] == [1, 2]


RULES = {
    "filters its rows": "rows: [{tables: [gold_shop.orders], filter: id = 1}]",
    "masks email": "masks: [{columns: [email], mask: hash, except_roles: [analyst]}]",
    "keeps back email": 'roles: {other: {grants: [{tables: ["*"], except_columns: [email]}]}}',
}


@pytest.mark.parametrize(
    "why", [pytest.param(why, marks=SOAK) if why.startswith("keeps") else why for why in RULES]
)
def test_what_a_rule_is_about_is_taken_away_at_once(lake: Lake, why: str) -> None:
    lake.write(ROW.format(1))
    lake.release()
    lake.export()
    (lake.settings.project / "access" / "rules.yaml").write_text(RULES[why])
    orders, totals = lake.export().tables
    assert (orders.outcome, totals.outcome) == ("left out", "unchanged")
    assert why in orders.reason
    assert "rules.yaml:" in orders.reason
    with pytest.raises(StorageError):
        lake.read()
    assert {path.rsplit("/", 1)[1] for path in lake.files()} == {"gold_shop.totals.parquet"}
    (lake.settings.project / "access" / "rules.yaml").unlink()
    assert lake.outcomes() == {"orders": "written", "totals": "unchanged"}


def test_a_tag_closes_a_table_and_so_does_having_no_policy(lake: Lake) -> None:
    lake.policy(OPEN + "masks: [{tags: [pii], mask: 'null', except_roles: [analyst]}]\n")
    lake.release(tags=["pii"])
    lake.release()  # a tag holds for all releases once one has it
    assert set(lake.outcomes().values()) == {"left out"}
    lake.policy("roles: {analyst: {grants: [{tables: [gold_web.clicks]}]}}\n")
    assert {t.reason for t in lake.export().tables} == {"no role may read it"}
    (lake.settings.project / "access" / "policy.yaml").unlink()
    assert {t.outcome for t in lake.export().tables} == {"left out"}
    assert lake.files() == set()


def test_the_command_says_what_it_did(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    release = lake.release()
    monkeypatch.setenv("LAVRA_PROJECT", str(lake.settings.project))
    monkeypatch.setenv("LAVRA_LAKE_URL", lake.settings.resolved_lake_url)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", lake.settings.storage_emulator_host or "")
    done = CliRunner().invoke(build_app(), ["release", "export", "--json"], catch_exceptions=False)
    said = json.loads(done.stdout)
    assert (said["release_id"], len(said["tables"])) == (release, 2)
    told = CliRunner().invoke(build_app(), ["release", "export"], catch_exceptions=False)
    assert f"as of release {release}" in told.stdout
    with lake.storage.open_input("export/prod/current.json") as stream:
        assert json.load(stream)["release"] == release
