"""CSV files as people write them: every row accounted for, or the line named."""

import codecs
from pathlib import Path

import pytest
from pydantic import ValidationError

from lavra.errors import SourceError
from lavra.landing.csv_source import CsvOptions, column_names, open_csv


def write(tmp_path: Path, content: bytes | str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def read(path: Path, **options: object) -> list[dict[str, str | None]]:
    with open_csv(path, CsvOptions.model_validate(options)) as opened:
        rows: list[dict[str, str | None]] = opened.batches.read_all().to_pylist()
        return rows


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (b"", "cp1252"),
    ],
)
def test_the_encoding_is_found_and_the_mark_is_no_part_of_the_name(
    tmp_path: Path, mark: bytes, encoding: str
) -> None:
    path = write(tmp_path, mark + "cidade,uf\nSão Paulo,SP\nBelém,PA\n".encode(encoding))
    assert read(path) == [{"cidade": "São Paulo", "uf": "SP"}, {"cidade": "Belém", "uf": "PA"}]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    text = f'a{delimiter}b\n"x, y; z"{delimiter}1,5\n'.replace("1,5", "1")
    assert read(write(tmp_path, text)) == [{"a": "x, y; z", "b": "1"}]


def test_quotes_newlines_and_crlf_inside_values(tmp_path: Path) -> None:
    path = write(tmp_path, 'a,b\r\n"two\r\nlines","say ""hi"""\r\n\r\n"c,d",e')
    assert read(path) == [{"a": "two\r\nlines", "b": 'say "hi"'}, {"a": "c,d", "b": "e"}]


def test_null_values_are_null_only_unquoted(tmp_path: Path) -> None:
    path = write(tmp_path, 'a,b\nNA,"NA"\n,""\n')
    assert read(path) == [{"a": None, "b": "NA"}, {"a": None, "b": ""}]
    assert read(path, quoted_nulls=True)[0] == {"a": None, "b": None}
    assert read(path, null_values=["-"])[0]["a"] == "NA"


def test_headers_become_unique_names() -> None:
    headers = ["Exchange rate", "Preço (R$)", "id", "ID", "", "2024", "_airbyte_raw_id", "orderId"]
    assert column_names(headers) == [
        "exchange_rate", "preco_r", "id", "id_2", "column_5", "column_2024", "airbyte_raw_id",
        "order_id",
    ]  # fmt: skip


def test_a_header_over_two_lines_and_lines_before_it(tmp_path: Path) -> None:
    path = write(tmp_path, '# exported\n"first\nname",b\n1,2\n')
    assert read(path, skip_lines=1) == [{"first_name": "1", "b": "2"}]


def test_a_file_without_a_header_numbers_its_columns(tmp_path: Path) -> None:
    assert read(write(tmp_path, "1,2\n3,4\n"), header=False) == [
        {"column_1": "1", "column_2": "2"},
        {"column_1": "3", "column_2": "4"},
    ]


@pytest.mark.parametrize("text", ["a,b", "a,b\n", "a,b\r\n\r\n"])
def test_a_header_alone_is_a_table_without_rows(tmp_path: Path, text: str) -> None:
    with open_csv(write(tmp_path, text)) as opened:
        assert opened.batches.schema.names == ["a", "b"]
        assert opened.batches.read_all().num_rows == 0


def test_one_column_keeps_its_empty_rows(tmp_path: Path) -> None:
    assert read(write(tmp_path, "a\n1\n\n2\n")) == [{"a": "1"}, {"a": None}, {"a": "2"}]


def test_ragged_rows_are_named_by_line(tmp_path: Path) -> None:
    path = write(tmp_path, 'a,b\n"1\n1",2\n3\n4,5,6\n7,8\n')
    with pytest.raises(SourceError, match=r"a\.csv.*2 fields.*line 4 has 1, line 5 has 3"):
        read(path)
    with open_csv(path, CsvOptions(ragged_rows="skip")) as opened:
        assert opened.batches.read_all().column("a").to_pylist() == ["1\n1", "7"]
        assert len(opened.skipped) == 2


def test_a_quote_that_never_ends_is_named_by_line(tmp_path: Path) -> None:
    path = write(tmp_path, 'a,b\n1,2\n3,"four\n5,6\n')
    with pytest.raises(SourceError, match=r"a\.csv, line 3: a quoted field .* never ends"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_an_empty_file_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SourceError, match="is empty"):
        read(write(tmp_path, content))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.csv cannot be read"):
        read(tmp_path / "nowhere.csv")


def test_a_wrong_declared_encoding_is_refused_with_a_remedy(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\nção,1\n", "cp1252")
    with pytest.raises(SourceError, match=r"not written in utf-8.*Declare `encoding`"):
        read(path, encoding="utf-8")
    with pytest.raises(SourceError, match="klingon"):
        read(path, encoding="klingon")


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ValidationError, match="seperator"):
        CsvOptions.model_validate({"seperator": ";"})
