"""Programs of others over the driver, against the service itself."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import nbclient
import nbformat
import pandas as pd
import polars as pl
import pytest
import sqlalchemy as sa

import lavra_driver

ORDERS = "select * from gold_test.orders"
MANY = "select id from gold_test.many order by id"


def test_pandas_by_sqlalchemy(real_url: str) -> None:
    engine = sa.create_engine(real_url)
    statement = sa.text(f"{ORDERS} where ordered_at >= :since")
    # pandas makes floats of decimals unless it is told not to.
    since = {"since": dt.datetime(2024, 1, 1)}
    frame = pd.read_sql(statement, engine, params=since, coerce_float=False)
    assert frame.loc[0, "city"] == "São Paulo"
    assert str(frame.loc[0, "amount"]) == "12.50"
    assert frame["ordered_at"].dtype.kind == "M"
    whole = pd.read_sql_table("many", engine, schema="gold_test", index_col="id")
    assert len(whole) == 100_000
    with engine.connect() as connection:
        chunks = pd.read_sql(sa.text(MANY), connection, chunksize=40_000)
        assert [len(chunk) for chunk in chunks] == [40_000, 40_000, 20_000]
    empty = pd.read_sql(f"{ORDERS} where false", engine)
    assert list(empty.columns) == ["id", "city", "amount", "ordered_at", "day", "nothing"]
    engine.dispose()


def test_pandas_by_arrow(real: lavra_driver.Connection) -> None:
    frame = real.execute(MANY).fetch_arrow_table().to_pandas()
    assert frame["id"].sum() == 4_999_950_000


@pytest.mark.parametrize("by", ["driver", "engine"])
def test_polars(real: lavra_driver.Connection, real_url: str, by: str) -> None:
    engine = sa.create_engine(real_url)
    source = real if by == "driver" else engine
    frame = pl.read_database(ORDERS, source)
    assert frame.row(0, named=True) == {
        "id": 1, "city": "São Paulo", "amount": Decimal("12.50"),
        "ordered_at": dt.datetime(2024, 1, 31, 10), "day": dt.date(2024, 1, 31), "nothing": None,
    }  # fmt: skip
    assert frame.schema["ordered_at"] == pl.Datetime("us")
    batches = list(pl.read_database(MANY, source, iter_batches=True, batch_size=30_000))
    assert [len(batch) for batch in batches] == [30_000, 30_000, 30_000, 10_000]
    options = {"parameters": [99_990] if by == "driver" else {"n": 99_990}}
    least = "id > ?" if by == "driver" else "id > :n"
    sql = f"select id from gold_test.many where {least}"
    assert len(pl.read_database(sql, source, execute_options=options)) == 9
    arrow = pl.from_arrow(real.execute(MANY).fetch_arrow_table())
    assert isinstance(arrow, pl.DataFrame)
    assert arrow["id"].sum() == 4_999_950_000
    engine.dispose()


def test_polars_by_uri_has_no_such_database(real_url: str) -> None:
    # It does not ask SQLAlchemy: its engines know the databases of their own lists.
    with pytest.raises((NotImplementedError, ImportError, ModuleNotFoundError, ValueError)):
        pl.read_database_uri(MANY, real_url, engine="adbc")


def test_a_jupyter_cell(real_url: str, tmp_path: Path) -> None:
    cell = f"""
import pandas as pd, sqlalchemy as sa
frame = pd.read_sql("{ORDERS}", sa.create_engine("{real_url}"))
frame[["city", "amount"]]
"""
    kernel = {"name": "python3", "display_name": "Python", "language": "python"}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell)], metadata={"kernelspec": kernel}
    )
    done = nbclient.NotebookClient(
        notebook, timeout=240, resources={"metadata": {"path": tmp_path}}
    )
    done.execute()
    shown = done.nb.cells[0].outputs[-1]["data"]
    assert "São Paulo" in shown["text/html"]
    assert "12.5" in shown["text/plain"]
