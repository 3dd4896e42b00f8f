"""CSV connections: from a file to Bronze, on both storages, and files that nobody here wrote."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from lavra.landing.manifest import current_paths
from lavra.storage import LakeStorage
from tests.lavra.landing.conftest import Lander

REAL = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture
def files(lander: Lander, tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    lander.connector, lander.config = "csv", {"root": str(folder)}
    return folder


def test_it_lands_typed_on_both_storages(
    make_lander: Callable[[LakeStorage], Lander], storage: LakeStorage, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_bytes(
        "\ufeffSeller ID;Cidade;Preço (R$)\n01;São Paulo;1.234,50\n02;NA;\n".encode()
    )
    lander = make_lander(storage)
    lander.connector, lander.config = "csv", {"root": str(tmp_path)}
    assert lander.land(path="a.csv").error is None
    assert lander.rows("seller_id", "cidade", "preco_r") == [
        ("01", "São Paulo", Decimal("1234.50")), ("02", None, None),
    ]  # fmt: skip


def test_a_misfit_of_a_declared_type_is_null_and_recorded(lander: Lander, files: Path) -> None:
    (files / "a.csv").write_text("id,n\n1,5\n2,five\n3,NA\n4,1.5\n")
    result = lander.land(path="a.csv", types={"n": "integer"})
    assert (result.error, result.row_count, result.misfit_count) == (None, 4, 2)
    rows = lander.rows("id", "n", "_airbyte_meta")
    assert [(row[0], row[1], len(row[2]["changes"])) for row in rows] == [
        (1, 5, 0), (2, None, 1), (3, None, 0), (4, None, 1),
    ]  # fmt: skip


def test_a_glob_lands_all_its_files_and_ragged_rows_are_counted(
    lander: Lander, files: Path
) -> None:
    (files / "2024-01.csv").write_text("id,v\n1,a\n2,b,c\n")
    (files / "2024-02.csv").write_text("v,id,w\nz,3,9\n")
    failed = lander.land(path="*.csv")
    assert "2024-01.csv: the header has 2 fields, but line 3 has 3" in (failed.error or "")
    assert "ragged_rows" in (failed.remedy or "")
    result = lander.land(path="*.csv", format={"ragged_rows": "skip"})
    assert (result.row_count, result.skipped_count) == (2, 1)
    assert lander.rows("id", "v", "w") == [(1, "a", None), (3, "z", 9)]


def test_files_that_did_not_change_are_not_landed_again(lander: Lander, files: Path) -> None:
    (files / "a.csv").write_text("id,n\n1,5\n")
    assert lander.land(path="a.csv").row_count == 1
    before = current_paths(lander.catalog, "test", "things")
    again = lander.land(path="a.csv")
    assert (again.error, again.row_count, again.schema_changes) == (None, 0, ())
    assert current_paths(lander.catalog, "test", "things") == before
    assert lander.rows("id", "n") == [(1, 5)]

    assert lander.land(path="a.csv", types={"n": "string"}).row_count == 1
    assert lander.rows("id", "n") == [(1, "5")]
    (files / "a.csv").write_text("id,n\n1,6\n")
    assert lander.land(path="a.csv", types={"n": "string"}).row_count == 1
    assert lander.rows("id", "n") == [(1, "6")]
    assert lander.land(path="a.csv", types={"n": "string"}, full_refresh=True).row_count == 1
    assert lander.rows("id", "n") == [(1, "6")]


@pytest.mark.parametrize(
    ("content", "path", "said"),
    [
        ("a,b\n1\n", "a.csv", "line 2 has 1"),
        ('a,b\n1,"x\n', "a.csv", "line 2: a quoted field starts here and never ends"),
        ("", "a.csv", "is empty"),
        ("a,b\n", "b*.csv", "no file is called b"),
        ("a,b\n", "/etc/passwd", "is absolute"),
    ],
)
def test_malformed_files_are_named(
    lander: Lander, files: Path, content: str, path: str, said: str
) -> None:
    (files / "a.csv").write_text(content)
    result = lander.land(path=path)
    assert said in (result.error or "")
    assert result.remedy


def test_the_old_rows_stay_when_the_new_file_is_malformed(lander: Lander, files: Path) -> None:
    (files / "a.csv").write_text("id\n1\n")
    lander.land(path="a.csv")
    (files / "a.csv").write_text('id\n"2\n')
    assert lander.land(path="a.csv").error is not None
    assert lander.rows("id") == [(1,)]


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data is not on this machine")
@pytest.mark.parametrize(
    ("path", "count", "columns"),
    [
        ("commerce/products.csv", 32_951, ["product_id", "product_category_name"]),
        ("commerce/sellers.csv", 3_095, ["seller_id", "seller_zip_code_prefix"]),
        ("commerce/product_category_name_translation.csv", 71, ["product_category_name"]),
        ("finance/exchange_rates_monthly.csv", 17_237, ["date", "country", "exchange_rate"]),
        ("aviation/planes.csv", 3_322, ["tailnum", "year"]),
    ],
)
def test_real_files_land_whole(lander: Lander, path: str, count: int, columns: list[str]) -> None:
    lander.connector, lander.config = "csv", {"root": str(REAL)}
    result = lander.land(path=path)
    assert (result.error, result.row_count, result.misfit_count) == (None, count, 0)
    assert lander.landed().schema.names[: len(columns)] == columns
