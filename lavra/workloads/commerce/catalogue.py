"""The shop's catalogue as CSV files, each written as a different program would write it."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from lavra.workloads.commerce.generator import Shop


def write_catalogue(shop: Shop, folder: Path) -> None:
    """Write ``categories.csv``, ``sellers.csv`` and ``products.csv`` into a folder.

    Products as a spreadsheet saves them (byte order mark, CRLF, NA), sellers as an older Brazilian
    program does (Windows-1252, semicolons, decimal commas), categories plainly. A file appears
    whole or not at all; products come last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "categories.csv", shop.categories)
    _write(folder / "sellers.csv", shop.sellers, encoding="cp1252", delimiter=";")
    _write(folder / "products.csv", shop.products, encoding="utf-8-sig", line_end="\r\n")


def _write(
    path: Path,
    table: pa.Table,
    *,
    encoding: str = "utf-8",
    delimiter: str = ",",
    line_end: str = "\n",
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end)
    writer.writerow(table.column_names)
    writer.writerows([_cell(value) for value in row.values()] for row in table.to_pylist())
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_bytes(text.getvalue().encode(encoding))
    temporary.replace(path)


def _cell(value: Any) -> Any:
    return "NA" if value is None else value
