"""Time an engine in this process: ``python -m benchmarks.peers.in_process NAME FOLDER``.

``FOLDER`` holds ``<table>.parquet`` and ``queries.json``. The tables are loaded into the engine's
own memory first; each query's rows are fetched whole as Arrow. Prints the best of the repetitions
in seconds, by query, as JSON; a query that the engine refuses is null.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

THREADS = 2
Run = Callable[[str], object]


def duckdb_run(folder: Path) -> Run:
    """Return a function that runs SQL in DuckDB over tables in memory."""
    import duckdb  # noqa: PLC0415

    connection = duckdb.connect(":memory:")
    connection.execute("SET produce_arrow_string_view = true; SET arrow_output_version = '1.4'")
    for file in sorted(folder.glob("*.parquet")):
        connection.execute(f"CREATE TABLE {file.stem} AS FROM '{file}'")
    return lambda sql: connection.execute(sql).to_arrow_table()


def datafusion_run(folder: Path) -> Run:
    """Return a function that runs SQL in DataFusion over tables in memory."""
    import pyarrow.parquet as pq  # noqa: PLC0415
    from datafusion import SessionConfig, SessionContext  # noqa: PLC0415

    from query_service.cache.segments import servable_schema  # noqa: PLC0415

    context = SessionContext(SessionConfig().with_target_partitions(THREADS))
    for file in sorted(folder.glob("*.parquet")):
        table = pq.read_table(file)
        batches = table.cast(servable_schema(table.schema)).to_batches(32_768)
        half = (len(batches) + 1) // THREADS
        runs = [batches[:half], batches[half:]] if len(batches) > 1 else [batches]
        context.register_record_batches(file.stem, runs)
    return lambda sql: context.sql(sql).collect()


def chdb_run(folder: Path) -> Run:
    """Return a function that runs SQL in chDB (ClickHouse) over tables in memory."""
    from chdb import session  # noqa: PLC0415

    session_module: Any = session
    opened = session_module.Session()
    opened.query("CREATE DATABASE IF NOT EXISTS tpch")
    for file in sorted(folder.glob("*.parquet")):
        opened.query(
            f"CREATE TABLE tpch.{file.stem} ENGINE = Memory AS "
            f"SELECT * FROM file('{file}', Parquet) "
            "SETTINGS schema_inference_make_columns_nullable = 0"
        )
    opened.query("USE tpch")
    return lambda sql: opened.query(sql, "Arrow")


def duckdb_files_run(folder: Path) -> Run:
    """Return a function that runs SQL in DuckDB over the lake's Parquet files."""
    import duckdb  # noqa: PLC0415

    connection = duckdb.connect(":memory:")
    connection.execute("SET produce_arrow_string_view = true; SET arrow_output_version = '1.4'")
    for table, files in json.loads((folder / "queries.json").read_text())["files"].items():
        connection.execute(f"CREATE VIEW {table} AS FROM read_parquet({files!r})")
    return lambda sql: connection.execute(sql).to_arrow_table()


def datafusion_files_run(folder: Path) -> Run:
    """Return a function that runs SQL in DataFusion over the lake's Parquet files."""
    from datafusion import SessionConfig, SessionContext  # noqa: PLC0415

    context = SessionContext(SessionConfig().with_target_partitions(THREADS))
    for table, files in json.loads((folder / "queries.json").read_text())["files"].items():
        listed = ", ".join(f"'{file}'" for file in files)
        context.sql(f"CREATE EXTERNAL TABLE {table} STORED AS PARQUET LOCATION ({listed})")
    return lambda sql: context.sql(sql).collect()


ENGINES: dict[str, Callable[[Path], Run]] = {
    "chdb": chdb_run,
    "datafusion": datafusion_run,
    "datafusion-files": datafusion_files_run,
    "duckdb": duckdb_run,
    "duckdb-files": duckdb_files_run,
}


def best_times(run: Run, queries: dict[str, str], repeat: int) -> dict[str, float | None]:
    """Return the best time of each query in seconds; None where the engine refuses it."""
    times: dict[str, float | None] = {}
    for name, sql in queries.items():
        spent: list[float] = []
        try:
            for _ in range(repeat):
                began = time.perf_counter()
                run(sql)
                spent.append(time.perf_counter() - began)
        except Exception as error:  # noqa: BLE001 - whatever the engine calls it
            print(f"{name}: {str(error)[:200]}", file=sys.stderr)
        times[name] = min(spent) if len(spent) == repeat else None
    return times


def main(argv: list[str]) -> None:
    """Load, measure, print."""
    engine, folder = argv[0], Path(argv[1])
    document: dict[str, Any] = json.loads((folder / "queries.json").read_text())
    run = ENGINES[engine](folder)
    print(json.dumps(best_times(run, document["queries"], document["repeat"])))


if __name__ == "__main__":
    main(sys.argv[1:])
