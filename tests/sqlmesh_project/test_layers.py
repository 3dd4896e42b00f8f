"""The commerce models from an empty lake to changed sources, against an independent computation.

One story: each step starts from where the one before it left the lake.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lavra.catalog import open_catalog
from lavra.ducklake import attach_lake, connect_duckdb
from lavra.settings import load_settings
from lavra.storage import open_storage
from lavra.workloads.commerce.source import CommerceSource, ensure_source, leave
from tests.sqlmesh_project.independent import IndependentShop
from tests.sqlmesh_project.late_changes import (
    LateChanges,
    assert_gold_is_right,
    newest_snapshot,
    orders_written_since,
)

ROOT = Path(__file__).parents[2]
ZONE = "America/Sao_Paulo"
GOLD = (
    "fct_orders", "fct_order_items", "dim_customers", "dim_products", "daily_revenue",
    "daily_category_sales", "daily_seller_sales", "customer_retention", "customer_segments",
    "stock_levels",
)  # fmt: skip

pytestmark = pytest.mark.timeout(900)


class Lake:
    """A copy of this repository's lake, small, with its own shop."""

    def __init__(self, root: Path) -> None:
        root.mkdir(exist_ok=True)
        (root / "lavra.toml").write_text(
            f'name = "test"\ntime_zone = "{ZONE}"\nworkload_scale = 0.01\n'
            'domains_on_request = ["aviation"]\n'
        )
        for folder in ("sqlmesh_project", "airbyte"):
            shutil.copytree(
                ROOT / folder, root / folder, ignore=shutil.ignore_patterns(".cache", "logs")
            )
        self.root = root
        self.settings = load_settings(root)
        self.catalog = open_catalog(self.settings)
        self.source: CommerceSource = ensure_source(self.settings)

    def command(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(Path(sys.executable).parent / program), *arguments],
            cwd=self.root, env=_environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def land(self) -> None:
        self.command("lavra", "ingest", "run", "--all")

    def sqlmesh(self, *arguments: str) -> str:
        return self.command("sqlmesh", "-p", "sqlmesh_project", *arguments)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        storage = open_storage(self.settings)
        with connect_duckdb(storage) as connection:
            attach_lake(connection, self.catalog, storage, read_only=True)
            connection.execute("USE lake")
            return connection.execute(statement).fetchall()

    def change_source(self, *statements: str) -> None:
        with psycopg.connect(self.source.url) as connection:
            for statement in statements:
                connection.execute(statement)

    def expected(self) -> IndependentShop:
        return IndependentShop(self.source.url, self.source.catalogue, ZONE)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    made = Lake(tmp_path_factory.mktemp("lake"))
    made.sqlmesh("plan", "--auto-apply", "--no-prompts", "--skip-tests")
    yield made
    leave(made.settings)
    if made.catalog.server:
        made.catalog.server.leave()


def test_an_empty_lake_plans_and_every_gold_table_is_there_and_empty(lake: Lake) -> None:
    for table in GOLD:
        assert lake.query(f"SELECT count(*) FROM gold_commerce.{table}") == [(0,)], table


@pytest.mark.soak  # the short form is tests/end_to_end/test_source_to_tile.py
def test_gold_is_right_after_a_first_landing_a_second_run_and_late_changes(lake: Lake) -> None:
    lake.land()
    lake.sqlmesh("run")
    assert_gold_is_right(lake.query, lake.expected())
    assert lake.query("SELECT count(*) FROM gold_commerce.fct_orders")[0][0] > 100

    before = newest_snapshot(lake.query)
    lake.sqlmesh("run")
    assert newest_snapshot(lake.query) == before, "a second run changed something"

    changes = LateChanges(lake.query)
    lake.change_source(*changes.statements)
    lake.land()
    lake.sqlmesh("run")
    assert_gold_is_right(lake.query, lake.expected())
    changes.check(lake.query)
    written = orders_written_since(lake.query, lake.catalog, before)
    assert written
    assert written <= changes.orders


def _environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("LAVRA_")}
