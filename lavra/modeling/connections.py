"""SQLMesh's two connections, made by Lavra: DuckDB with the lake, and Postgres for the state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field
from sqlmesh.core.config.connection import (
    ConnectionConfig,
    DuckDBConnectionConfig,
    PostgresConnectionConfig,
)
from sqlmesh.core.engine_adapter import EngineAdapter

from lavra.ducklake import LAKE
from lavra.modeling.engine import LakeEngineAdapter
from lavra.modeling.lake import active_lake


class LakeConnectionConfig(DuckDBConnectionConfig):
    """DuckDB whose connections come from :func:`lavra.ducklake.connect_duckdb`.

    SQLMesh's own would install extensions from the network, and cannot register gcsfs before
    httpfs. Tasks are not concurrent: DuckDB uses all cores for each one.
    """

    type_: Literal["lavra_lake"] = Field(alias="type", default="lavra_lake")
    catalogs: dict[str, str] = {LAKE: "lavra"}  # noqa: RUF012 - a pydantic field
    concurrent_tasks: Literal[1] = 1

    def create_engine_adapter(
        self, register_comments_override: bool = False, concurrent_tasks: int | None = None
    ) -> EngineAdapter:
        """Return a new adapter: SQLMesh would share one by file name, and the lake is no file."""
        return ConnectionConfig.create_engine_adapter(
            self, register_comments_override, concurrent_tasks
        )

    @property
    def _engine_adapter(self) -> type[EngineAdapter]:
        return LakeEngineAdapter

    @property
    def _connection_kwargs_keys(self) -> set[str]:
        return set()

    @property
    def _connection_factory(self) -> Callable[[], Any]:
        return lambda: active_lake().connect()

    @property
    def _cursor_init(self) -> Callable[[Any], None]:
        # A cursor is a session of its own in DuckDB: it inherits what is attached, not settings.
        def prepare(cursor: Any) -> None:
            cursor.execute("SET TimeZone = 'UTC'")
            cursor.execute(f"USE {LAKE}")

        return prepare


class StateConnectionConfig(PostgresConnectionConfig):
    """The catalog as the home of SQLMesh's state, opened at the first query and not before.

    The fields of a Postgres connection are placeholders: where the catalog is stands in the
    settings, and our own may not run yet when the configuration is built.
    """

    type_: Literal["lavra_catalog"] = Field(alias="type", default="lavra_catalog")
    host: str = "lavra"
    user: str = "lavra"
    password: str = ""
    port: int = 5432
    database: str = "lavra"

    @property
    def is_recommended_for_state_sync(self) -> bool:
        """It is Postgres, which SQLMesh recommends."""
        return True

    @property
    def _connection_kwargs_keys(self) -> set[str]:
        return set()

    @property
    def _connection_factory(self) -> Callable[[], Any]:
        def connect() -> Any:
            import psycopg2  # noqa: PLC0415 - not needed to load the configuration

            return psycopg2.connect(active_lake().catalog.to_libpq())

        return connect
