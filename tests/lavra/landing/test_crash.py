"""A run that is killed, at each of its steps: nothing half-landed is seen, the next run repairs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import psycopg
import pytest

from lavra.catalog import Catalog
from lavra.landing import manifest
from lavra.landing.manifest import current_paths
from lavra.storage.lake_storage import TEMPORARY_PREFIX
from tests.lavra.landing.conftest import Lander

MODE = {"sync_mode": "incremental_append", "cursor_field": "id", "primary_key": "id"}

# Lands in a process of its own, which kills itself as soon as it reaches the named function.
VICTIM = """
import json, os, signal, sys
from pathlib import Path
from lavra.catalog import Catalog
from lavra.landing import bronze_writer, manifest, run
from lavra.landing.connections import Connection
from lavra.settings import load_settings
from lavra.storage import open_storage

project, catalog_url, declared, step = sys.argv[1:]
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
def then_die(function):
    def wrapped(*arguments, **named):
        function(*arguments, **named)
        die()
    return wrapped
Writer = bronze_writer.BronzeWriter
if step == "before the first file": Writer.write = die
if step == "within a file": Writer._write_piece = then_die(Writer._write_piece)
if step == "files durable, not committed": run.commit_sync = die
if step == "committed": run.commit_sync = then_die(manifest.commit_sync)
settings = load_settings(Path(project))
run.run_connection(settings, Catalog(catalog_url), open_storage(settings),
                   Connection.model_validate(json.loads(declared)))
"""


@pytest.mark.parametrize(
    ("step", "seen"),
    [
        ("before the first file", 2),
        ("within a file", 2),
        ("files durable, not committed", 2),
        ("committed", 4),
    ],
)
def test_a_killed_run_is_repaired_by_the_next(
    source: psycopg.Connection, lander: Lander, step: str, seen: int
) -> None:
    source.execute("create table things (id int primary key)")
    source.execute("insert into things values (1), (2)")
    lander.land(**MODE)
    source.execute("insert into things values (3), (4)")
    declared = json.dumps(lander.connection(**MODE).model_dump(mode="json", exclude_defaults=True))
    victim = subprocess.run(
        [sys.executable, "-c", VICTIM, str(lander.settings.project), url(lander.catalog), declared,
         step], check=False, capture_output=True,
    )  # fmt: skip
    assert victim.returncode == -signal.SIGKILL, victim.stderr.decode()
    assert sorted(lander.rows("id")) == [(n,) for n in range(1, seen + 1)]
    assert lander.land(**MODE).row_count == 4 - seen
    assert sorted(lander.rows("id")) == [(n,) for n in range(1, 5)]
    files = {file.path for file in lander.storage.list_files("bronze")}
    assert files == set(current_paths(lander.catalog, "test", "things"))
    folder = lander.settings.state / "lake" / "bronze" / "test" / "things"
    assert not list(folder.glob(f"{TEMPORARY_PREFIX}*"))


def test_a_catalog_that_refuses_the_commit_leaves_all_as_it_was(
    source: psycopg.Connection, lander: Lander, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.execute("create table things (id int primary key)")
    source.execute("insert into things values (1)")
    lander.land()
    source.execute("insert into things values (2)")

    def refuse(*_: object) -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr("lavra.landing.run.commit_sync", refuse)
    with pytest.raises(ConnectionError):
        lander.land()
    monkeypatch.undo()
    assert lander.rows("id") == [(1,)]
    lander.land()
    assert lander.rows("id") == [(1,), (2,)]
    assert manifest.clean_up(lander.catalog, lander.storage, "test", "things") == 0


def url(catalog: Catalog) -> str:
    from psycopg.conninfo import make_conninfo

    return make_conninfo("", **catalog._parameters)
