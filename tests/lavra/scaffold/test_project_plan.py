"""What a file's columns are taken for, and which tables are made of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from csv_files import PRODUCTS, WriteCsv, sales

from lavra.errors import ConfigurationError, SourceError
from lavra.scaffold.plan import plan_tables
from lavra.scaffold.roles import Aggregate, Role, aggregate_of

REAL = Path(__file__).parents[4] / "shared" / "data"


def test_a_time_a_category_quantities_and_a_reference_are_found(write_csv: WriteCsv) -> None:
    plan, products = plan_tables(
        [write_csv("sales.csv", sales()), write_csv("products.csv", PRODUCTS)]
    )

    assert plan.key == ("sale_id",)
    assert plan.roles == {
        "sale_id": Role.IDENTIFIER,
        "sold_at": Role.TIME,
        "channel": Role.CATEGORY,
        "product_id": Role.IDENTIFIER,
        "quantity": Role.MEASURE,
        "unit_price": Role.MEASURE,
    }
    assert [(m.name, m.aggregate, m.weight) for m in plan.measures] == [
        ("total_quantity", Aggregate.SUM, "row_count"),
        ("average_unit_price", Aggregate.AVERAGE, "unit_price_count"),
    ]
    assert plan.mart is not None
    assert (plan.mart.name, plan.mart.unit, plan.mart.category) == ("daily_sales", "day", "channel")
    assert [rollup.name for rollup in plan.rollups] == ["sales_by_channel"]
    (lookup,) = plan.lookups
    assert (lookup.table, lookup.key, lookup.is_complete) == ("products", "product_id", True)
    assert lookup.columns == (("nome_do_produto", "nome_do_produto"), ("categoria", "categoria"))
    assert products.key == ("product_id",)
    assert not products.lookups
    assert not products.mart


def test_two_columns_together_are_a_key(write_csv: WriteCsv) -> None:
    lines = [
        f"2026-{month:02}-01,{country},{month}.5" for month in range(1, 13) for country in "AB"
    ]
    path = write_csv("rates.csv", "Date,Country,Rate\n" + "\n".join(lines))
    (plan,) = plan_tables([path])
    assert plan.key == ("date", "country")
    assert plan.mart is not None
    assert (plan.mart.name, plan.mart.unit) == ("monthly_rates", "month")


def test_a_repeated_row_leaves_no_key(write_csv: WriteCsv) -> None:
    path = write_csv("log.csv", "at,value\n" + "2026-01-01 10:00:00,1.5\n" * 30)
    (plan,) = plan_tables([path])
    assert plan.key == ()


def test_a_unique_quantity_is_no_key(write_csv: WriteCsv) -> None:
    path = write_csv("weights.csv", "weight,grade\n" + "".join(f"{n * 7},x\n" for n in range(40)))
    (plan,) = plan_tables([path])
    assert plan.key == ()


def test_few_rows_prove_no_key_by_chance(write_csv: WriteCsv) -> None:
    (plan,) = plan_tables([write_csv("few.csv", "weight,city\n5,Recife\n9,Natal\n2,Olinda\n")])
    assert plan.key == ()


@pytest.mark.parametrize(
    "header", ["zip_code", "CEP", "phone", "seller_zip_code_prefix", "account_number"]
)
def test_numbers_that_name_a_thing_are_not_summed(write_csv: WriteCsv, header: str) -> None:
    path = write_csv("a.csv", f"x,{header}\n" + "".join(f"k{n},{n % 6 + 100}\n" for n in range(30)))
    (plan,) = plan_tables([path])
    assert not plan.measures


@pytest.mark.parametrize(
    ("name", "aggregate"),
    [
        ("quantity", Aggregate.SUM),
        ("valor_do_frete", Aggregate.SUM),
        ("total_price", Aggregate.SUM),
        ("unit_price", Aggregate.AVERAGE),
        ("discount_rate", Aggregate.AVERAGE),
        ("temperature", Aggregate.AVERAGE),
        ("whatever", Aggregate.AVERAGE),
    ],
)
def test_only_what_adds_up_is_summed(name: str, aggregate: Aggregate) -> None:
    assert aggregate_of(name) is aggregate


def test_equal_names_with_other_values_are_no_reference(write_csv: WriteCsv) -> None:
    other = PRODUCTS.replace("\n1,", "\n91,").replace("\n2,", "\n92,").replace("\n3,", "\n93,")
    plan, _ = plan_tables([write_csv("sales.csv", sales()), write_csv("products.csv", other)])
    assert plan.lookups == ()


def test_two_ids_called_id_are_no_reference(write_csv: WriteCsv) -> None:
    rows = "".join(f"{n},{'xy'[n % 2]}\n" for n in range(1, 31))
    plans = plan_tables([write_csv(f"{name}.csv", "id,kind\n" + rows) for name in ("a", "b")])
    assert [plan.lookups for plan in plans] == [(), ()]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("empty.csv", "", "is empty"),
        ("header.csv", "a,b\n", "a header and no rows"),
        ("ragged.csv", "a,b\n1,2\n1,2,3\n", "line 3 has 3"),
    ],
)
def test_a_malformed_file_is_named_with_its_place_and_a_remedy(
    write_csv: WriteCsv, name: str, text: str, said: str
) -> None:
    with pytest.raises(SourceError, match=said) as raised:
        plan_tables([write_csv(name, text)])
    assert name in raised.value.message
    assert raised.value.remedy


def test_two_files_of_one_name_are_refused(write_csv: WriteCsv) -> None:
    first, second = write_csv("Sales.csv", PRODUCTS), write_csv("sales.csv", PRODUCTS)
    with pytest.raises(ConfigurationError, match="would both become the table sales") as raised:
        plan_tables([first, second])
    assert raised.value.remedy


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not beside this repository")
def test_real_files_are_understood() -> None:
    commerce = REAL / "commerce"
    products, sellers, names, rates = plan_tables(
        [
            commerce / "products.csv",
            commerce / "sellers.csv",
            commerce / "product_category_name_translation.csv",
            REAL / "finance" / "exchange_rates_monthly.csv",
        ]
    )
    assert [p.profile.rows for p in (products, sellers, names, rates)] == [32951, 3095, 71, 17237]
    assert names.profile.columns[0].name == "product_category_name"
    assert products.lookups[0].table == "product_category_name_translation"
    assert not products.lookups[0].is_complete
    assert sellers.key == ("seller_id",)
    assert sellers.measures == ()
    assert rates.key == ("date", "country")
    assert rates.mart is not None
    assert rates.mart.name == "monthly_exchange_rates"
