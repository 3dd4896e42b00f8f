"""A lake with Gold tables written straight into DuckLake, releases made by hand, and a server."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
import uvicorn

from lavra.catalog import Catalog, open_catalog
from lavra.ducklake import attach_lake, connect_duckdb
from lavra.settings import Settings, load_settings
from lavra.storage import LakeStorage, open_storage

RELEASED = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


@dataclass
class Lake:
    """A lake to write to and to release from.

    ``duck`` has it attached as ``lake``; every statement outside a transaction is a snapshot.
    """

    settings: Settings
    catalog: Catalog
    storage: LakeStorage
    duck: duckdb.DuckDBPyConnection

    def snapshot(self) -> int:
        """The id of the latest snapshot."""
        rows = self.duck.execute("select max(snapshot_id) from ducklake_snapshots('lake')")
        return int(rows.fetchall()[0][0])

    def tables(self, prefix: str = "gold_") -> list[tuple[str, str]]:
        """The tables whose schema starts with ``prefix``."""
        rows = self.duck.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = 'lake' "
            "and starts_with(schema_name, ?) order by all",
            [prefix],
        )
        return rows.fetchall()

    def release(
        self,
        *,
        environment: str = "prod",
        tables: list[tuple[str, str]] | None = None,
        physical: dict[tuple[str, str], tuple[str, str]] | None = None,
        snapshot: int | None = None,
        data_through: dt.datetime | None = RELEASED,
        described: dict[tuple[str, str], tuple[str, dict[str, str], list[str]]] | None = None,
    ) -> int:
        """Release tables (default: all of Gold) at a snapshot (default: the latest).

        ``described`` has a table's description, its columns' and its grain, where they matter.

        Returns:
            The release's id.
        """
        names = self.tables() if tables is None else tables
        at = self.snapshot() if snapshot is None else snapshot
        with self.catalog.connect() as connection:
            row = connection.execute(
                "insert into lavra.release (environment, snapshot_id, cause) "
                "values (%s, %s, 'plan') returning id",
                (environment, at),
            ).fetchone()
            assert row is not None
            for schema, table in names:
                held = (physical or {}).get((schema, table), (schema, table))
                plain = (f"All of {table}.", {"id": "The key."}, ["id"])
                text, comments, grain = (described or {}).get((schema, table), plain)
                columns = [{"name": k, "type": "", "description": v} for k, v in comments.items()]
                connection.execute(
                    "insert into lavra.release_table (release_id, schema_name, table_name, "
                    "physical_schema, physical_table, description, columns, grain, upstream, "
                    "row_count, bytes, data_through) "
                    "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, 0, 0, %s)",
                    (
                        row[0], schema, table, *held, text, json.dumps(columns),
                        json.dumps(grain), json.dumps([f"silver_test.{table}"]), data_through,
                    ),
                )  # fmt: skip
        return int(row[0])


OPEN_POLICY = """
roles:
  everyone:
    given_to: {everyone: true}
    grants: [{tables: ["*"], environments: ["*"]}]
"""


def make_lake(root: Path, policy: str = OPEN_POLICY, **overrides: Any) -> Lake:
    """Make an empty lake below ``root``, whose policy lets everybody see everything."""
    (root / "access").mkdir(parents=True, exist_ok=True)
    (root / "access" / "policy.yaml").write_text(policy)
    (root / "lavra.toml").write_text('name = "test"\n')
    settings = load_settings(root, **overrides)
    catalog = open_catalog(settings)
    storage = open_storage(settings)
    duck = connect_duckdb(storage, threads=2)
    attach_lake(duck, catalog, storage)
    duck.execute("create schema lake.gold_test")
    return Lake(settings, catalog, storage, duck)


def close_lake(lake: Lake) -> None:
    lake.duck.close()
    if lake.catalog.server:
        lake.catalog.server.leave()


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """An empty lake of the test's own."""
    made = make_lake(tmp_path / "lake")
    yield made
    close_lake(made)


@contextlib.contextmanager
def serving(
    settings: Settings, *, ready: bool = True, loopback: bool = True
) -> Iterator[httpx.Client]:
    """Run the service in a thread of this process; the block has a client of it.

    The client asks without a key, as the administrator, unless ``loopback`` is false.
    """
    from query_service.app import create_app
    from query_service.sockets import listen

    listener = listen("127.0.0.1", 0)
    app = create_app(settings.model_copy(update={"service_allow_loopback": loopback}))
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, proxy_headers=False)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        with httpx.Client(base_url=url, timeout=60) as client:
            wait_until(lambda: server.started or not thread.is_alive(), timeout_s=120)
            if ready:
                wait_until(lambda: client.get("/readyz").status_code == 200, timeout_s=120)
            yield client
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        listener.close()
    assert not thread.is_alive()


def wait_until(condition: Any, timeout_s: float = 60) -> None:
    """Wait for a condition to hold."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def query(client: httpx.Client, sql: str, **body: Any) -> dict[str, Any]:
    """Run a query and return its JSON answer, which must be a success."""
    response = client.post("/v1/sql", json={"sql": sql, **body})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer
