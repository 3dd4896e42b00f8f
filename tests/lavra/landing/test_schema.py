"""The JSON schema that editors use: committed as it is, and of one mind with `lint`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lavra.landing.connections import Connection
from lavra.landing.schema import FILE, connection_schema, write_schema
from tests.lavra.editor_schemas import (
    assert_committed,
    assert_described,
    assert_of_one_mind,
    assert_shipped_files_fit,
    mutations,
)

FULL: dict[str, Any] = {
    "name": "shop", "description": "d", "owner": "o", "namespace": "shop", "freshness": "26h",
    "source": {"connector": "postgres", "config": {"host": "h"}, "workload": "commerce"},
    "destination": {"name": "lake", "dialect": "v2"},
    "schedule": {"schedule_type": "cron", "cron_expression": "0 0 6 * * ? UTC"},
    "non_breaking_schema_updates_behavior": "ignore",
    "streams": [
        {
            "name": "orders", "namespace": "public", "sync_mode": "incremental_deduped_history",
            "cursor_field": "at", "cursor_lag": "5m", "primary_key": ["id"],
            "selected_fields": ["id", "at"], "types": {"price": "decimal(12,2)"},
            "freshness": "2d", "path": "a.csv",
            "format": {"delimiter": ";", "skip_lines": 1, "ragged_rows": "skip"},
            "mappers": [{"type": "hashing", "mapper_configuration": {}}],
        },
        {"name": "users", "sync_mode": "incremental_append", "cursor_field": "at"},
    ],
}  # fmt: skip
SIMPLE: dict[str, Any] = {
    "name": "shop", "description": "d", "owner": "o", "destination": "lake",
    "source": {"connector": "csv"}, "streams": [{"name": "a", "path": "a", "primary_key": "id"}],
}  # fmt: skip


def test_the_schema_and_lint_accept_the_same() -> None:
    mutated = [one for document in (FULL, SIMPLE) for one in mutations(document)]
    linted = assert_of_one_mind(connection_schema(), Connection, mutated)
    assert linted[True] > 20
    assert linted[False] > 300


def test_the_shipped_connections_fit_and_name_the_schema() -> None:
    assert_shipped_files_fit(connection_schema(), "connections", FILE)


def test_the_committed_schema_is_current(tmp_path: Path) -> None:
    """If this fails: `lavra ingest schema`."""
    assert_committed(connection_schema(), FILE, write_schema, tmp_path)


def test_every_key_is_described() -> None:
    assert_described(connection_schema())
