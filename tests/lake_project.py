"""A small lake with SQLMesh models, for tests of whatever happens to a lake.

It is planned once for the test session and copied for each test. Files "land" by being written
to a folder: what the landing's manifest would say is replaced by a listing of it.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lavra.catalog import Catalog, open_catalog
from lavra.ducklake import attach_lake, connect_duckdb
from lavra.releases.rule import list_blocked
from lavra.releases.store import Release, current_release, list_releases
from lavra.settings import load_settings
from lavra.storage import open_storage

FILES = {
    "lavra.toml": 'name = "test"\n',
    "sqlmesh_project/config.py": """
from pathlib import Path

from lavra.modeling import project_config

config = project_config(Path(__file__).parent, start="2026-01-01")
""",
    "sqlmesh_project/models/bronze/orders.sql": """
MODEL (
  name bronze_shop.orders, kind FULL, grain order_id,
  description 'Orders as they landed.',
  column_descriptions (
    order_id = 'Number.', customer_id = 'Who.', amount = 'Value.', landed_at = 'When.'
  ),
  audits (not_null(columns := (order_id)))
);
SELECT
  order_id::BIGINT AS order_id,
  customer_id::BIGINT AS customer_id,
  amount::DECIMAL(18, 2) AS amount,
  (_airbyte_extracted_at AT TIME ZONE 'UTC')::TIMESTAMP AS landed_at
FROM @bronze(shop, orders, order_id::BIGINT, customer_id::BIGINT, amount::DECIMAL(18, 2)) AS landed
""",
    "sqlmesh_project/models/silver/customers.sql": """
MODEL (
  name silver_shop.customers, kind SEED (path '../../seeds/customers.csv'), grain customer_id,
  columns (customer_id BIGINT, name TEXT),
  description 'Customers.',
  column_descriptions (customer_id = 'Number.', name = 'Name.'),
  audits (not_null(columns := (customer_id)))
);
""",
    "sqlmesh_project/seeds/customers.csv": "customer_id,name\n1,Ana\n2,Bo\n",
    "sqlmesh_project/models/silver/orders.sql": """
MODEL (
  name silver_shop.orders, grain order_id,
  kind INCREMENTAL_BY_TIME_RANGE (time_column landed_at),
  description 'Clean orders.',
  column_descriptions (
    order_id = 'Number.', customer_id = 'Who.', amount = 'Value.', landed_at = 'When.'
  ),
  audits (not_negative, unique_values(columns := (order_id)))
);
SELECT
  order_id::BIGINT AS order_id,
  customer_id::BIGINT AS customer_id,
  amount::DECIMAL(18, 2) AS amount,
  landed_at::TIMESTAMP AS landed_at
FROM bronze_shop.orders
WHERE landed_at BETWEEN @start_ts AND @end_ts
""",
    "sqlmesh_project/models/gold/orders.sql": """
MODEL (
  name gold_shop.orders, grain order_id,
  kind INCREMENTAL_BY_TIME_RANGE (time_column landed_at),
  description 'Orders.',
  column_descriptions (
    order_id = 'Number.', customer_id = 'Who.', amount = 'Value.', landed_at = 'When.'
  ),
  audits (not_large, not_huge)
);
SELECT
  order_id::BIGINT AS order_id,
  customer_id::BIGINT AS customer_id,
  amount::DECIMAL(18, 2) AS amount,
  landed_at::TIMESTAMP AS landed_at
FROM silver_shop.orders
WHERE landed_at BETWEEN @start_ts AND @end_ts
""",
    "sqlmesh_project/models/gold/totals.sql": """
MODEL (
  name gold_shop.totals, kind FULL, grain customer_id,
  description 'Totals of each customer.',
  column_descriptions (customer_id = 'Who.', order_count = 'Orders.', amount = 'Value.'),
  audits (not_null(columns := (customer_id)))
);
SELECT
  customer_id::BIGINT AS customer_id,
  COUNT(*)::BIGINT AS order_count,
  SUM(amount)::DECIMAL(18, 2) AS amount
FROM silver_shop.orders
GROUP BY customer_id
""",
    "sqlmesh_project/models/gold/names.sql": """
MODEL (
  name gold_shop.names, kind FULL, grain customer_id,
  description 'Names; made of nothing that lands.',
  column_descriptions (customer_id = 'Who.', name = 'Name.'),
  audits (not_null(columns := (customer_id)))
);
SELECT customer_id::BIGINT AS customer_id, name::TEXT AS name FROM silver_shop.customers
""",
    "sqlmesh_project/models/gold/recent.sql": """
MODEL (
  name gold_shop.recent, kind VIEW, grain order_id,
  description 'The newest orders.',
  column_descriptions (order_id = 'Number.', amount = 'Value.'),
  audits (not_null(columns := (order_id)))
);
SELECT order_id::BIGINT AS order_id, amount::DECIMAL(18, 2) AS amount
FROM gold_shop.orders
ORDER BY order_id DESC
LIMIT 2
""",
    "sqlmesh_project/models/gold/ranks.py": '''
"""Customers by value; a Python model."""

import pandas as pd
from sqlmesh import ExecutionContext, model


@model(
    "gold_shop.ranks",
    kind="full",
    description="Customers by value.",
    columns={"customer_id": "BIGINT", "rank": "BIGINT"},
    column_descriptions={"customer_id": "Who.", "rank": "From 1."},
    grains=["customer_id"],
    depends_on=["gold_shop.totals"],
    audits=[("not_null", {"columns": ["customer_id"]})],
)
def execute(context: ExecutionContext, **kwargs) -> pd.DataFrame:
    """Rank them."""
    table = context.resolve_table("gold_shop.totals")
    frame = context.fetchdf(f"SELECT customer_id, amount FROM {table}")
    frame["rank"] = frame["amount"].rank(ascending=False).astype("int64")
    if frame.empty:
        yield from ()
        return
    yield frame[["customer_id", "rank"]]
''',
    "sqlmesh_project/audits/audits.sql": """
AUDIT (name not_negative);
SELECT * FROM @this_model WHERE amount < 0;

AUDIT (name not_large);
SELECT * FROM @this_model WHERE amount > 1000;

AUDIT (name not_huge, blocking false);
SELECT * FROM @this_model WHERE amount > 500
""",
}


class LakeProject:
    """A copy of the small lake, with the things a test does to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings = load_settings(root)
        self.storage = open_storage(self.settings)

    @cached_property
    def catalog(self) -> Catalog:
        """The lake's catalog, running."""
        return open_catalog(self.settings)

    @property
    def models(self) -> Path:
        """The folder of the SQLMesh project."""
        return self.root / "sqlmesh_project"

    def land(
        self, rows: Sequence[tuple[int, int, float]], at: dt.datetime | None = None, part: int = 0
    ) -> Path:
        """Land orders (order_id, customer_id, amount), extracted ``at`` (default: now)."""
        at = at or dt.datetime.now(dt.UTC)
        folder = landing_folder(self.root, "shop", "orders")
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{at:%Y_%m_%d}_{int(at.timestamp() * 1000)}_{part}.parquet"
        values = ", ".join(
            f"('{i}', timestamptz '{at.isoformat()}', 1::bigint, {i}::bigint, {c}::bigint, "
            f"{a}::decimal(18, 2))"
            for i, c, a in rows
        )
        columns = (
            "_airbyte_raw_id, _airbyte_extracted_at, _airbyte_generation_id, "
            "order_id, customer_id, amount"
        )
        with duckdb.connect() as connection:
            connection.execute(f"copy (from (values {values}) t ({columns})) to '{file}'")
        return file

    @contextmanager
    def context(self) -> Iterator[Any]:
        """Open a SQLMesh context that captures what it prints."""
        from sqlmesh.core.console import CaptureTerminalConsole, set_console
        from sqlmesh.core.context import Context

        set_console(CaptureTerminalConsole())
        context = Context(paths=[str(self.models)])
        try:
            yield context
        finally:
            context.close()

    def plan(self, environment: str = "prod", **kwargs: Any) -> str:
        """Plan and apply; return what was printed."""
        with self.context() as context:
            context.plan(environment, auto_apply=True, no_prompts=True, **kwargs)
            return printed(context)

    def run(self, environment: str = "prod", **kwargs: Any) -> str:
        """Run; return what was printed, ``(failed)`` first if it failed."""
        with self.context() as context:
            status = context.run(environment, **kwargs)
            return ("(failed) " if status.is_failure else "") + printed(context)

    def query(self, sql: str, snapshot: int | None = None) -> list[tuple[Any, ...]]:
        """Query the lake, at a snapshot if given."""
        connection = connect_duckdb(self.storage)
        try:
            attach_lake(
                connection, self.catalog, self.storage, read_only=True, snapshot_version=snapshot
            )
            connection.execute("use lake")
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def write(self, sql: str) -> None:
        """Write to the lake behind SQLMesh's back."""
        connection = connect_duckdb(self.storage)
        try:
            attach_lake(connection, self.catalog, self.storage)
            connection.execute("use lake")
            connection.execute(sql)
        finally:
            connection.close()

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask the catalog."""
        with self.catalog.connect() as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def released(self, environment: str = "prod") -> Release:
        """Return the environment's current release."""
        with self.catalog.connect() as connection:
            release = current_release(connection, environment)
        assert release is not None
        return release

    def releases(self, environment: str = "prod") -> list[Release]:
        """Return all releases, newest first."""
        with self.catalog.connect() as connection:
            return list_releases(connection, environment)

    def blocked(self, environment: str = "prod") -> dict[str, str]:
        """Return why the environment is blocked, by model."""
        with self.catalog.connect() as connection:
            return {b["model"]: b["reason"] for b in list_blocked(connection, environment)}

    def physical(self, name: str, environment: str = "prod") -> str:
        """Return a released table's physical name."""
        schema, table = name.split(".")
        for found in self.released(environment).tables:
            if (found.schema_name, found.table_name) == (schema, table):
                return f"{found.physical_schema}.{found.physical_table}"
        raise AssertionError(name)

    def served(self, name: str) -> list[tuple[Any, ...]]:
        """Return a table's rows as the current release shows them."""
        release = self.released()
        return self.query(f"from {self.physical(name)} order by all", release.snapshot_id)

    def edit(self, path: str, old: str, new: str) -> None:
        """Change a file of the SQLMesh project."""
        file = self.models / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def sqlmesh(self) -> SqlmeshProcess:
        """Start a process that runs ``sqlmesh`` command lines one after the other."""
        return SqlmeshProcess(self.root)


class SqlmeshProcess:
    """A process that has SQLMesh imported and runs command lines as ``sqlmesh`` itself does."""

    def __init__(self, root: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.sqlmesh_process", str(root)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).parent.parent,
            env={k: v for k, v in os.environ.items() if not k.startswith("LAVRA_")},
        )  # fmt: skip
        self._read("ready")

    def start(self, *arguments: str, **options: Any) -> None:
        """Begin a command line; ``options`` are those of tests/sqlmesh_process.py."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"arguments": arguments, **options}) + "\n")
        self._process.stdin.flush()

    def wait(self) -> tuple[int, str]:
        """Wait for the command's end; return its exit code and what it printed."""
        answer = self._read("done")
        return answer["code"], answer["output"]

    def call(self, *arguments: str, **options: Any) -> tuple[int, str]:
        """Run a command line."""
        self.start(*arguments, **options)
        return self.wait()

    def wait_until_killed(self) -> None:
        """Wait for the process to die of the SIGKILL that it was told to send itself."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == ""  # not even an answer
        assert self._process.wait(60) == -9

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(120)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process.stdout.close()

    def _read(self, event: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the process ended with {self._process.wait(60)}"
        answer: dict[str, Any] = json.loads(line)
        assert answer["event"] == event
        return answer


def landing_folder(root: Path, namespace: str, stream: str) -> Path:
    """Return where a test lands the files of a stream."""
    return root / "landed" / namespace / stream


def replace_landing(root: Path) -> None:
    """Make the @bronze macro read the test's landing folders."""
    from lavra.landing.manifest import Landed, LandedFile
    from lavra.modeling import macros

    def landed(namespace: str, stream: str) -> Landed:
        folder = landing_folder(root, namespace, stream)
        paths = sorted(str(file) for file in folder.glob("*.parquet"))
        return Landed(tuple(LandedFile(path, path, 1, 1) for path in paths), tuple(paths))

    macros.landed = landed


def printed(context: Any) -> str:
    """Return what a context has printed."""
    console = context.console
    return "\n".join([console.captured_output, *console._warnings, *console._errors])


def write_files(root: Path) -> None:
    """Write the small lake's project."""
    for path, text in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text.lstrip())


def copy_project(template: Path, root: Path) -> LakeProject:
    """Copy a lake whose catalog is stopped; DuckLake keeps the path of its files, so tell it."""
    subprocess.run(["cp", "-a", str(template), str(root)], check=True)  # owners too
    for parent in root.parents:  # as root, Postgres runs as a user that must get through
        if not parent.stat().st_mode & stat.S_IXOTH:
            parent.chmod(parent.stat().st_mode | stat.S_IXOTH)
    copy = LakeProject(root)
    copy.sql(
        "update ducklake.ducklake_metadata set value = %s where key = 'data_path'",
        copy.storage.url_of("ducklake") + "/",
    )
    return copy


@pytest.fixture(scope="session")
def lake_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small lake, planned and released with two orders, its catalog stopped."""
    root = tmp_path_factory.mktemp("template") / "lake"
    write_files(root)
    lake = LakeProject(root)
    with pytest.MonkeyPatch.context() as patch:
        from lavra.modeling import macros

        patch.setattr(macros, "landed", macros.landed)
        replace_landing(root)
        # Quicker, and safe: the tests kill clients of the catalog, never the machine.
        lake.sql("alter database lavra set synchronous_commit = off")
        lake.land([(1, 1, 10), (2, 2, 20)])
        lake.plan()
    assert lake.catalog.server is not None
    lake.catalog.server.leave()
    assert not lake.catalog.server.is_running
    return root


@pytest.fixture
def lake(
    lake_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LakeProject]:
    """A lake of one's own: models from Bronze to Gold, planned and released once."""
    from lavra.modeling import macros

    monkeypatch.setattr(macros, "landed", macros.landed)
    copy = copy_project(lake_template, tmp_path / "lake")
    replace_landing(copy.root)
    yield copy
    assert copy.catalog.server is not None
    copy.catalog.server.leave()
