"""What `lavra init` writes is a project as a person would keep it: it loads, lints, tests pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from csv_files import PRODUCTS, Init, WriteCsv, sales
from written import check_project, load

from lavra.landing.connections import load_connections

HOSTILE = (
    '"order","order","a""b\'c","{{ x }} @y","-- drop */ table;","Preço Médio (R$)","😀",,"2019",'
    '"line\nbreak"\n'
)


def test_the_sample_loads_lints_and_passes_its_tests(init: Init) -> None:
    folder = init(time_zone="America/Sao_Paulo")
    ran = check_project(folder)
    assert ran == {
        "test_silver_sales",
        "test_gold_daily_sales",
        "test_gold_sales_by_product",
        "test_gold_sales_by_city",
    }


def test_two_files_that_refer_to_each_other_do_too(init: Init, write_csv: WriteCsv) -> None:
    folder = init(write_csv("sales.csv", sales()), write_csv("products.csv", PRODUCTS))
    assert "test_gold_sales" in check_project(folder)

    context = load(folder)
    gold = context.get_model("gold_shop.sales")
    assert list(gold.columns_to_types)[-2:] == ["nome_do_produto", "categoria"]
    silver = context.get_model("silver_shop.products")
    assert [str(grain) for grain in silver.grains] == ["product_id"]
    bronze = context.get_model("bronze_shop.products")
    assert bronze.column_descriptions["categoria"] == (
        "Header `categoria`; 1 empty of 5, 3 distinct values"
    )
    assert bronze.column_descriptions["nome_do_produto"] == (
        "Header `Nome do produto`; 0 empty of 5, each value once"
    )


def test_every_column_and_table_is_described(init: Init, write_csv: WriteCsv) -> None:
    folder = init(write_csv("sales.csv", sales()), write_csv("products.csv", PRODUCTS))
    for model in load(folder).models.values():
        assert model.description
        assert set(model.column_descriptions) == set(model.columns_to_types)
        assert all(model.column_descriptions.values())
        assert model.grains


def test_hostile_headers_and_values_do_no_harm(init: Init, write_csv: WriteCsv) -> None:
    rows = "".join(
        f'{n},a,\'{"ab"[n % 2]}\' -- */,{{{{ x }}}},"x;y""z",{n}.5,😀,,@DEF(a),"l\nm"\n'
        for n in range(30)
    )
    folder = init(write_csv("select * from; --'.csv", HOSTILE + rows))
    check_project(folder)
    (connection,) = load_connections(folder)
    assert connection.streams[0].name == "select_from"
    names = list(load(folder).get_model("gold_shop.select_from").columns_to_types)
    assert names == [
        "select_from_order", "order_2", "a_b_c", "x_y", "drop_table", "preco_medio_r",
        "column_7", "column_8", "column_2019", "line_break",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("id\n1\n", {"thing"}),
        pytest.param("a;b\n1,5;x\n2,5;y\n", {"thing"}, marks=pytest.mark.soak),
        ("at,v\n2026-01-01T10:00:00Z,1\n2026-01-01T23:30:00-03:00,2\n", {"thing", "hourly_thing"}),
        ("day,v\n01/02/2026,1\n25/12/2026,2\n", {"thing", "daily_thing"}),
        pytest.param(
            "year,day,month\n2020-01-01,x,1\n2021-01-01,x,2\n2022-01-01,y,3\n",
            {"thing", "yearly_thing"},
            marks=pytest.mark.soak,
        ),
        pytest.param(
            "n,big\nk,9223372036854775807\nl,-9223372036854775807\n",
            {"thing"},
            marks=pytest.mark.soak,
        ),
        ("row_count,hour\na,x\na,x\nb,y\nb,y\n", {"thing", "thing_by_row_count", "thing_by_hour"}),
    ],
)
def test_files_of_odd_shapes(init: Init, write_csv: WriteCsv, text: str, tables: set[str]) -> None:
    folder = init(write_csv("thing.csv", text), time_zone="America/Sao_Paulo")
    check_project(folder)
    gold = folder / "sqlmesh_project" / "models" / "gold" / "shop"
    assert {path.stem for path in gold.glob("*.sql")} == tables


def test_a_file_of_another_encoding_is_declared_as_such(init: Init, write_csv: WriteCsv) -> None:
    folder = init(write_csv("a.csv", "código;preço\n1;1,50\n2;2,50\n", "cp1252"))  # type: ignore[call-arg]
    (stream,) = load_connections(folder)[0].streams
    assert (stream.format.encoding, stream.format.delimiter) == ("cp1252", ";")
    assert stream.types == {"codigo": "integer"}  # a decimal comma is not said by a type


def test_the_charts_fit_what_the_file_holds(init: Init, write_csv: WriteCsv) -> None:
    folder = init(write_csv("sales.csv", sales()))
    charts = {
        path.stem: yaml.safe_load(path.read_text())
        for path in Path(folder / "superset/assets/charts").rglob("*.yaml")
    }
    assert {(chart["type"], chart["title"]) for chart in charts.values()} == {
        ("kpi", "Sales"),
        ("kpi", "Total quantity"),
        ("kpi", "Average unit price"),
        ("line", "Total quantity by day and channel"),
        ("bar", "Total quantity by channel"),
        ("table", "Latest sales"),
    }
