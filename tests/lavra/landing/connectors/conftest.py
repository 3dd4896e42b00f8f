"""Lands a connector that runs as a real process."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lavra.catalog import Catalog
from lavra.landing.bronze_reader import read_files
from lavra.landing.connections import Connection
from lavra.landing.manifest import current_paths
from lavra.landing.run import StreamResult, run_connection
from lavra.settings import Settings
from lavra.storage import LakeStorage, open_storage

SOURCE = str(Path(__file__).with_name("scripted_source.py"))
INCREMENTAL = {
    "sync_mode": "incremental_deduped_history", "cursor_field": "id", "primary_key": "id",
}  # fmt: skip


@dataclass
class ConnectorLander:
    """Lands ``things`` of the scripted source, and reads it back."""

    settings: Settings
    catalog: Catalog
    storage: LakeStorage
    folder: Path

    def declared(
        self, config: dict[str, Any], streams: Sequence[dict[str, Any]], **source: Any
    ) -> dict[str, Any]:
        base = {"memory": str(self.folder / "memory"), "password": "s3cret-word", "count": 10}
        if source:
            base = {} if "command" in source and source["command"] is None else base
        runs = {"connector": "scripted", "command": [sys.executable, SOURCE]}
        return {
            "name": "test", "description": "d", "owner": "o", "streams": list(streams),
            "source": runs | {"config": base | config} | source,
        }  # fmt: skip

    def land_all(
        self,
        config: dict[str, Any],
        streams: Sequence[dict[str, Any]],
        *,
        full_refresh: bool = False,
        settings: dict[str, Any] | None = None,
        **extra: Any,
    ) -> list[StreamResult]:
        source = extra.pop("source", {})
        connection = Connection.model_validate(self.declared(config, streams, **source) | extra)
        used = self.settings.model_copy(update={"connector_retry_s": 0.0} | (settings or {}))
        return run_connection(
            used, self.catalog, self.storage, connection, full_refresh=full_refresh
        )

    def land(
        self, config: dict[str, Any], stream: dict[str, Any] | None = None, **extra: Any
    ) -> StreamResult:
        [result] = self.land_all(config, [{"name": "things"} | (stream or {})], **extra)
        return result

    def landed(self, stream: str = "things") -> pa.Table:
        return read_files(self.storage, current_paths(self.catalog, "test", stream))

    def ids(self, stream: str = "things") -> list[int]:
        return self.landed(stream).column("id").to_pylist()


@pytest.fixture
def connectors(catalog: Catalog, settings: Settings, tmp_path: Path) -> ConnectorLander:
    return ConnectorLander(settings, catalog, open_storage(settings), tmp_path)
