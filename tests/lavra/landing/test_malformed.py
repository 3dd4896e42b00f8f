"""What is malformed is told with the file, the place in it, and what to do."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from lavra.errors import ConfigurationError, SourceError
from lavra.landing.connections import load_connection
from lavra.landing.csv_source import CsvOptions, open_csv

CONNECTION = """\
name: shop
description: d
owner: o
source:
  connector: csv
  config: {root: data}
schedule:
  schedule_type: cron
  cron_expression: 0 0 6 * * ?
destination: {name: lake, dialect: v2}
streams:
  - name: orders
    path: orders.csv
    sync_mode: full_refresh_append
    retention: 30d
"""


@pytest.mark.parametrize(
    ("right", "wrong", "place", "what", "remedy"),
    [
        ("owner: o", "ownr: o", "line 3: ownr", "there is no such key", "at the top stand name"),
        ("0 0 6 * * ?", "0 6 * * *", "line 9: schedule.cron_expression", "six fields",
         "describes every key"),
        ("dialect: v2", "dialect: v3", "line 10: destination.dialect", "'v2'", "every key"),
        ("full_refresh_append", "incremental_append", "line 12: streams.0", "needs a cursor_field",
         "every key"),
        ("    path: orders.csv\n", "", "line 12: streams.0", "orders needs a `path`", "every key"),
        ("  config: {", "  config: {{", "line 7", "not valid YAML", "Check the indentation"),
        ("retention: 30d", "retention: a month", "line 15: streams.0.retention",
         "must be a duration such as 30m", "every key"),
    ],
)  # fmt: skip
def test_a_malformed_connection(  # noqa: PLR0917
    project: Path, right: str, wrong: str, place: str, what: str, remedy: str
) -> None:
    path = project / "shop.yaml"
    path.write_text(CONNECTION)
    assert load_connection(path).name == "shop"
    path.write_text(CONNECTION.replace(right, wrong, 1))
    with pytest.raises(ConfigurationError) as told:
        load_connection(path)
    for part in (str(path), place, what):
        assert part in told.value.message
    assert "at least 1 item" not in told.value.message  # a list whose items are wrong has items
    assert remedy in (told.value.remedy or "")


def test_a_misspelt_connector_has_a_suggestion(project: Path) -> None:
    path = project / "shop.yaml"
    for wrong, meant in (("cvs", "csv"), ("strype", "stripe")):
        path.write_text(CONNECTION.replace("connector: csv", f"connector: {wrong}"))
        with pytest.raises(ConfigurationError, match=f"did you mean {meant}"):
            load_connection(path)


def spreadsheet() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "options", "place", "what", "remedy"),
    [
        (b"a,b\n1,2\n3\n", {}, "line 3", "has 1", "`ragged_rows: skip`"),
        (b"a,b\n1,2\n1,2,3\n", {}, "line 3", "has 3", "must be quoted"),
        (b'a,b\n1,2\n3,"x\n4,5\n', {}, "line 3", "never ends", "Close it with"),
        ("a,b\n1,2\nção,3\n".encode("cp1252"), {"encoding": "utf-8"}, "line 3",
         "not written in utf-8", "Declare `encoding` in the stream's `format`"),
        (b"", {}, "a.csv is empty", "no header", "has a header"),
        (spreadsheet(), {}, "first byte", "spreadsheet", "Export it as CSV"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), {}, "first byte", "gzip", "Decompress it"),
    ],
)  # fmt: skip
def test_a_malformed_csv_file(  # noqa: PLR0917
    tmp_path: Path, content: bytes, options: dict[str, str], place: str, what: str, remedy: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with (
        pytest.raises(SourceError) as told,
        open_csv(path, CsvOptions.model_validate(options)) as opened,
    ):
        opened.batches.read_all()
    for part in (str(path), place, what):
        assert part in told.value.message
    assert remedy in (told.value.remedy or "")
