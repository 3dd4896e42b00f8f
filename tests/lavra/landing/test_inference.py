"""The narrowest type that every value fits, and statistics a person would count."""

import csv
import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lavra.errors import ConfigurationError
from lavra.landing.csv_source import CsvOptions
from lavra.landing.inference import infer_csv, load_text
from lavra.landing.types import parse_type


def write(tmp_path: Path, *lines: str, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-20", "0"], "integer"),
        (["1", "2", "NA"], "integer"),
        (["9223372036854775807", "1"], "integer"),
        (["9223372036854775808", "1"], "string"),  # no 64 bits: a number to nobody
        (["01310", "99730"], "string"),  # a postal code keeps its zero
        (["+5511999990000"], "string"),
        (["1.50", "2"], "decimal(18,2)"),
        (["0.1234567", "1"], "number"),
        (["1.5e3", "2"], "number"),
        (["12e45678"], "string"),  # a hash, not a number
        (["true", "FALSE"], "boolean"),
        (["0", "1"], "integer"),
        (["2024-02-29", "1999-01-01"], "date"),
        (["2023-02-29"], "string"),  # no such day
        (["31/12/2024", "01/02/2024"], "date"),
        (["12/31/2024", "01/02/2024"], "date"),
        (["01/02/2024", "03/04/2024"], "string"),  # day or month first? nobody can tell
        (["2024-01-01 10:00:00", "2024-01-01T10:00:00.123456"], "timestamp_without_timezone"),
        (["2024-01-01T10:00:00Z", "2024-01-01 10:00:00-03:00"], "timestamp_with_timezone"),
        (["31/12/2024 10:00", "01/01/2025 23:59"], "timestamp_without_timezone"),
        (["", "NA"], "string"),
        (["1", "two"], "string"),
        (["1956", "2013"], "integer"),
    ],
)
def test_types(tmp_path: Path, values: list[str], expected: str) -> None:
    table = infer_csv(write(tmp_path, "id,v", *(f"{i},{v}" for i, v in enumerate(values))))
    column = table.columns[1]
    assert str(column.type) == expected
    assert column.misfit_count == 0


def test_a_type_that_one_late_row_breaks_is_not_chosen(tmp_path: Path) -> None:
    table = infer_csv(write(tmp_path, "id,v", *(f"{i},{i}" for i in range(30_000)), "30000,x"))
    assert [str(c.type) for c in table.columns] == ["integer", "string"]


def test_statistics(tmp_path: Path) -> None:
    path = write(tmp_path, "Seller ID,City,Price", "b,São Paulo,1.50", "a,,2.25", "c,São Paulo,NA")
    table = infer_csv(path)
    key, city, price = table.columns
    assert (table.row_count, table.encoding, table.delimiter) == (3, "utf-8", ",")
    assert table.keys == (("seller_id",),)
    assert (key.name, key.header, key.distinct_count) == ("seller_id", "Seller ID", 3)
    assert key.samples == ("b", "a", "c")
    assert (city.null_count, city.most_common) == (1, (("São Paulo", 2),))
    assert (price.null_count, price.minimum, price.maximum) == (1, Decimal("1.50"), Decimal("2.25"))


def test_a_pair_of_columns_is_a_key_where_no_single_one_is(tmp_path: Path) -> None:
    table = infer_csv(
        write(tmp_path, "day,place,v", "2024-01-01,a,5", "2024-01-01,b,5", "2024-01-02,a,5")
    )
    assert table.keys == (("day", "place"),)


def test_decimal_commas(tmp_path: Path) -> None:
    path = write(tmp_path, "id;price;n", "1;1.234,50;3", "2;0,99;4")
    table = infer_csv(path)
    assert [str(c.type) for c in table.columns] == ["integer", "decimal(18,2)", "integer"]
    assert table.columns[1].maximum == Decimal("1234.50")
    assert str(infer_csv(path, CsvOptions(decimal_comma=False)).columns[1].type) == "string"


def test_quoted_numbers_and_quoted_empty_ones(tmp_path: Path) -> None:
    table = infer_csv(write(tmp_path, "id,n", '"1","5"', '"2",""'))
    assert str(table.columns[1].type) == "integer"
    assert table.columns[1].null_count == 1


def test_declared_types_win_and_misfits_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path, "id,v", "1,10", "2,ten", "3,1.5", "4,NA")
    column = infer_csv(path, overrides={"v": parse_type("integer")}).columns[1]
    assert (str(column.type), column.misfit_count, column.null_count) == ("integer", 2, 3)
    with pytest.raises(ConfigurationError, match=r"no column w.*Its columns are id, v"):
        infer_csv(path, overrides={"w": parse_type("integer")})


def test_several_files_are_read_by_name(tmp_path: Path) -> None:
    first = write(tmp_path, "id,a", "1,x", name="1.csv")
    second = write(tmp_path, "b,id", "2024-01-01,2", name="2.csv")
    table = infer_csv([first, second])
    assert [(c.name, str(c.type), c.null_count) for c in table.columns] == [
        ("id", "integer", 0), ("a", "string", 1), ("b", "date", 1),
    ]  # fmt: skip
    assert table.columns[2].minimum == dt.date(2024, 1, 1)


def test_a_file_without_rows(tmp_path: Path) -> None:
    table = infer_csv(write(tmp_path, "id,name"))
    assert (table.row_count, table.keys) == (0, ())
    assert [str(c.type) for c in table.columns] == ["string", "string"]


@pytest.mark.parametrize("text", ["money", "decimal(39,2)", "decimal(2,3)", "decimal(0,0)"])
def test_an_unknown_type_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is not a type.*decimal\(p,s\)"):
        parse_type(text)


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=8), semicolon=st.booleans())
def test_any_text_survives_a_round_trip(
    tmp_path: Path, rows: list[tuple[str, str]], semicolon: bool
) -> None:
    path = tmp_path / "round.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(
            stream, delimiter=";" if semicolon else ",", quoting=csv.QUOTE_ALL, lineterminator="\n"
        )
        writer.writerow(["first", "second"])
        writer.writerows(rows)
    with load_text(path, CsvOptions(delimiter=";" if semicolon else ",")) as text:
        assert text.connection.execute("select * from csv_text").fetchall() == rows
