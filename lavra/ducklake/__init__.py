"""DuckDB connections with the lake's DuckLake catalog attached."""

from lavra.ducklake.connection import LAKE, attach_lake, connect_duckdb

__all__ = ["LAKE", "attach_lake", "connect_duckdb"]
