"""Whatever file is given, the project written from it loads, and its audits hold on its rows."""

from __future__ import annotations

import csv
import datetime as dt
import io
import tempfile
from pathlib import Path
from unittest.mock import patch

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from csv_files import Init, WriteCsv, sales
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp
from sqlmesh import Context
from sqlmesh.core.macros import RuntimeStage
from written import load

from lavra.errors import SourceError
from lavra.landing.connections import load_connections
from lavra.landing.csv_reader import CsvReader
from lavra.landing.manifest import Landed, LandedFile
from lavra.scaffold.plan import plan_tables
from lavra.scaffold.project import plan_project
from lavra.scaffold.writing import write_project

HEADERS = st.one_of(
    st.sampled_from(
        ["id", "order", "Data", "preço", "a;b", "x'y", 'q"q', "{{ j }}", "-- c", "/* d */", "@DEF",
         "", "😀", "2019", "row_count", "month", "year", "quantity", "zip code", "total", "lat"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)  # fmt: skip
CELLS = st.one_of(
    st.sampled_from(
        ["", "NA", " ", "a", "b", " a ", "São", "x'y", "*/ --", "{{ a }}", "@x", '"', ";"]
    ),
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.integers(0, 5).map(str),
    st.decimals(-1000, 1000, places=2).map(str),
    st.dates().map(str),
    st.datetimes(timezones=st.none() | st.just(None)).map(str),
    st.booleans().map(str),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    """A header and rows; each column is drawn from few values, or one kind, or anything."""
    width = draw(st.integers(1, 5))
    height = draw(st.integers(1, 40))
    columns = []
    for _ in range(width):
        cells = draw(
            st.sampled_from(
                [CELLS, st.integers(0, 9).map(str), st.dates().map(str), st.integers().map(str),
                 st.floats(-1e6, 1e6).map(str), st.sampled_from(["p", "q", ""])]
            )
        )  # fmt: skip
        columns.append(draw(st.lists(cells, min_size=height, max_size=height)))
    return [
        draw(st.lists(HEADERS, min_size=width, max_size=width)),
        *map(list, zip(*columns, strict=True)),
    ]


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(files=st.lists(tables(), min_size=3, max_size=3))
def test_the_audits_hold_on_any_files(files: list[list[list[str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        given_files = []
        for number, rows in enumerate(files):
            text = io.StringIO(newline="")
            csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
            path = Path(folder) / f"thing_{number}.csv"
            path.write_bytes(text.getvalue().encode())
            try:
                plan_tables([path])
            except SourceError:
                continue  # refused as a whole, with a reason
            given_files.append(path)
        if not given_files:
            return
        project = plan_project(given_files, name="shop", time_zone="America/Sao_Paulo")
        write_project(project, Path(folder) / "shop")
        counts = run_models(Path(folder) / "shop")
        for plan in project.plans:
            assert counts[f"gold_shop.{plan.name}"] == plan.profile.rows


def test_the_audits_hold_on_a_file_of_many_columns(init: Init, write_csv: WriteCsv) -> None:
    counts = run_models(init(write_csv("sales.csv", sales(200))))
    assert counts["gold_shop.sales"] == 200
    assert counts["gold_shop.sales_by_channel"] == 3


def test_an_audit_fails_on_rows_that_break_it(init: Init, write_csv: WriteCsv) -> None:
    folder = init(write_csv("sales.csv", sales(200)))
    path = folder / "data" / "sales.csv"
    path.write_text(path.read_text() + "S0001,2026-01-01 00:00:00,pigeon,,1,1.00\n")
    assert failing_audits(folder) == {
        "silver_shop.sales": {"not_null", "unique_values", "accepted_values"},
        "gold_shop.sales": {"unique_values"},
    }


def run_models(folder: Path) -> dict[str, int]:
    """Run a project's models on its files in plain DuckDB; return each table's row count."""
    connection, context = _run(folder)
    assert _failing(connection, context) == {}
    return {
        model.name: connection.execute(f"select count(*) from {model.name}").fetchall()[0][0]
        for model in context.models.values()
    }


def failing_audits(folder: Path) -> dict[str, set[str]]:
    """Return the audits that fail, by model."""
    return _failing(*_run(folder))


def _run(folder: Path) -> tuple[duckdb.DuckDBPyConnection, Context]:
    context = load(folder)
    landed = _land(folder)
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")

    def one_file(*stream: str) -> Landed:
        return Landed((LandedFile(landed[stream], landed[stream], 1, 1),), ())

    with patch("lavra.modeling.macros.landed", one_file):
        for name in context.dag.sorted:
            model = context.models[name]
            connection.execute(f"create schema if not exists {model.schema_name}")
            query = _local(model.render_query(runtime_stage=RuntimeStage.EVALUATING))
            connection.execute(f"create table {model.name} as {query}")
    return connection, context


def _failing(connection: duckdb.DuckDBPyConnection, context: Context) -> dict[str, set[str]]:
    failing: dict[str, set[str]] = {}
    for model in context.models.values():
        for audit, arguments in model.audits_with_args:
            query = _local(model.render_audit_query(audit, **arguments))
            if connection.execute(query).fetchone():
                failing.setdefault(model.name, set()).add(audit.name)
    return failing


def _local(query: exp.Query) -> str:
    """The query's text, with tables that are not in a catalog."""
    for table in query.find_all(exp.Table):
        table.set("catalog", None)
    return str(query.sql("duckdb"))


def _land(folder: Path) -> dict[tuple[str, str], str]:
    """Read the project's files as landing does; return where each stream's rows are."""
    landed = {}
    for connection in load_connections(folder):
        reader = CsvReader(folder / connection.source.config["root"])
        for stream in connection.streams:
            with reader.read(stream, None) as read:
                table = pa.concat_tables([rows for rows, _ in read.batches])
            count = table.num_rows
            ids = pa.array([f"row {number}" for number in range(count)], pa.string())
            moment = pa.array([dt.datetime.now(dt.UTC)] * count, pa.timestamp("us", "UTC"))
            table = table.append_column("_airbyte_raw_id", ids)
            table = table.append_column("_airbyte_extracted_at", moment)
            table = table.append_column("_airbyte_generation_id", pa.array([1] * count, pa.int64()))
            path = folder / f"{stream.name}.parquet"
            pq.write_table(table, path)
            landed[connection.bronze_namespace, stream.name] = str(path)
    return landed
