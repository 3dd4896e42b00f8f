"""The catalog: our own or any Postgres, migrated once, with locks that die with their holder."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from lavra.catalog import Catalog, migrations, open_catalog
from lavra.catalog.locks import advisory_lock
from lavra.ducklake import attach_lake, connect_duckdb
from lavra.errors import CatalogError, CatalogUnavailable, ConfigurationError
from lavra.settings import Settings, load_settings
from lavra.storage import open_storage


def test_opening_twice_migrates_once(settings: Settings, catalog: Catalog) -> None:
    assert open_catalog(settings).server is catalog.server
    with catalog.connect() as connection:
        assert migrations.migrate(connection) == []
        count = connection.execute("select count(*) from lavra.schema_migration").fetchone()
    assert count == (len(list(migrations.available())),)


def test_many_may_open_a_new_catalog_at_once(settings: Settings) -> None:
    code = (
        "import sys; from pathlib import Path; from lavra.settings import load_settings;"
        "from lavra.catalog import open_catalog; open_catalog(load_settings(Path(sys.argv[1])))"
    )
    users = [
        subprocess.Popen([sys.executable, "-c", code, str(settings.project)]) for _ in range(4)
    ]
    assert [user.wait(60) for user in users] == [0] * 4


def test_an_edited_migration_is_noticed(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = [*migrations.available(), (9999, "9999_new.sql", "select 1")]
    edited = [(n, name, sql + "-- edited") if n == 1 else (n, name, sql) for n, name, sql in ours]
    monkeypatch.setattr(migrations, "available", lambda: iter(edited))
    with pytest.raises(CatalogError, match="another form"), catalog.connect() as connection:
        migrations.migrate(connection)


def test_a_newer_catalog_is_refused(catalog: Catalog) -> None:
    with catalog.connect() as connection:
        connection.execute("insert into lavra.schema_migration values (9999, 'x', 'y')")
    with pytest.raises(CatalogError, match="Upgrade lavra"), catalog.connect() as connection:
        migrations.migrate(connection)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://a@b/c", "postgresql://"),
        ("postgresql://host/db", "user"),
        ("postgresql://me:hunter2@/db", "host"),
        ("postgresql://me:hunter2@host:port:x/db?nonsense", "well-formed"),
    ],
)
def test_a_wrong_url_is_refused_without_its_password(
    project: Path, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv("LAVRA_CATALOG_URL", url)
    with pytest.raises(ConfigurationError, match=said) as caught:
        open_catalog(load_settings(project))
    assert "hunter2" not in str(caught.value)


def test_an_unreachable_catalog_says_so_without_its_password(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAVRA_CATALOG_URL", "postgresql://me:hunter2@127.0.0.1:1/lavra")
    with pytest.raises(CatalogUnavailable) as caught:
        open_catalog(load_settings(project))
    assert "hunter2" not in str(caught.value)


def test_a_failing_statement_is_translated_and_rolled_back(catalog: Catalog) -> None:
    with pytest.raises(CatalogError, match="refused"), catalog.connect() as connection:
        connection.execute("create table public.t (a int)")
        connection.execute("select * from nowhere")
    with catalog.connect() as connection:
        assert connection.execute("select to_regclass('public.t')").fetchone() == (None,)


def test_a_database_is_made_once_by_many(catalog: Catalog) -> None:
    threads = [threading.Thread(target=catalog.ensure_database, args=("other",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with catalog.connect() as connection:
        found = connection.execute("select count(*) from pg_database where datname = 'other'")
        assert found.fetchone() == (1,)


def test_the_lock_is_waited_for_and_the_waiter_is_told(catalog: Catalog) -> None:
    waits: list[float] = []
    order: list[str] = []

    def second() -> None:
        with advisory_lock(catalog, 77, on_wait=lambda: waits.append(time.monotonic())):
            order.append("second")

    with advisory_lock(catalog, 77):
        thread = threading.Thread(target=second)
        thread.start()
        while not waits:
            time.sleep(0.01)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert len(waits) == 1


def test_no_two_locks_are_one() -> None:
    from lavra.catalog import locks

    numbers = [value for name, value in vars(locks).items() if name.endswith("_LOCK")]
    assert len(set(numbers)) == len(numbers) >= 5


def test_waiting_for_the_lock_ends(catalog: Catalog) -> None:
    with (
        advisory_lock(catalog, 78),
        pytest.raises(CatalogError, match="still holds"),
        advisory_lock(catalog, 78, timeout_s=0.3),
    ):
        pass


def test_a_killed_holder_frees_the_lock(settings: Settings, catalog: Catalog) -> None:
    code = (
        "import sys, time; from pathlib import Path; from lavra.settings import load_settings;"
        "from lavra.catalog import open_catalog; from lavra.catalog.locks import advisory_lock\n"
        "with advisory_lock(open_catalog(load_settings(Path(sys.argv[1]))), 79):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(settings.project)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    with advisory_lock(catalog, 79, timeout_s=10):
        pass


def test_the_lake_attaches_and_sees_the_past(settings: Settings, catalog: Catalog) -> None:
    storage = open_storage(settings)
    with connect_duckdb(storage) as writer:
        attach_lake(writer, catalog, storage)
        writer.execute("create schema lake.s; create table lake.s.t as select 1 as a")
        then = writer.execute("select max(snapshot_id) from ducklake_snapshots('lake')").fetchone()
        writer.execute("insert into lake.s.t values (2)")
    assert then is not None
    for version, expected in ((then[0], 1), (None, 2)):
        with connect_duckdb(storage) as reader:
            attach_lake(reader, catalog, storage, read_only=True, snapshot_version=version)
            assert reader.execute("select count(*) from lake.s.t").fetchone() == (expected,)
    with connect_duckdb(storage) as reader:
        attach_lake(reader, catalog, storage, read_only=True)
        with pytest.raises(Exception, match="read-only"):
            reader.execute("insert into lake.s.t values (3)")
    with connect_duckdb(storage) as reader, pytest.raises(CatalogError):
        attach_lake(reader, catalog, storage, read_only=True, snapshot_version=10_000)


def test_superset_gets_a_url_that_sqlalchemy_reads(catalog: Catalog) -> None:
    from sqlalchemy.engine import make_url

    url = make_url(catalog.to_sqlalchemy("superset"))
    assert url.database == "superset"
    assert catalog.server is not None
    assert url.query["host"] == conninfo_to_dict(catalog.server.url())["host"]
    assert psycopg.connect(catalog.server.url()).close() is None
