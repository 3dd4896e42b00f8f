"""The driver in environments of others: the ends of what it promises, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from uv import find_uv_bin

if TYPE_CHECKING:
    from toy_service import ToyService

DRIVER = Path(__file__).parents[3] / "query_service" / "driver"
SCRIPT = """
import datetime, sys
import lavra_driver
with lavra_driver.connect("127.0.0.1", int(sys.argv[1])) as connection:
    cursor = connection.execute(
        "select * from gold_commerce.orders where ordered_at >= ? order by order_id",
        [datetime.datetime(1970, 1, 2)])
    print([column[1] for column in cursor.description], cursor.fetchall())
    print(connection.execute("select interval '1 day', 1.5").fetch_arrow_table().num_rows)
assert not {"sqlalchemy", "pandas", "superset", "fastapi", "datafusion"} & set(sys.modules)
"""


def python_of(version: str) -> str | None:
    """The path of a Python of this machine; pyenv's need not be switched on."""
    if sys.version_info[:2] == tuple(int(part) for part in version.split(".")):
        return str(getattr(sys, "_base_executable", sys.executable))
    held = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    return str(held[-1]) if held else shutil.which(f"python{version}")


OLDEST = ["pyarrow==14.0.2", "numpy<2", "urllib3==1.26.*"]
NEWEST = ["pyarrow", "urllib3"]


@pytest.mark.parametrize(
    ("version", "packages"),
    [
        ("3.10", OLDEST),
        pytest.param("3.11", OLDEST, marks=pytest.mark.soak),
        pytest.param("3.12", NEWEST, marks=pytest.mark.soak),
        ("3.13", NEWEST),
    ],
)
def test_ends_of_what_is_promised_and_nothing_of_the_service(
    service: ToyService, tmp_path: Path, version: str, packages: list[str]
) -> None:
    uv = find_uv_bin()
    python = tmp_path / "venv" / "bin" / "python"
    base = python_of(version)
    if base is None:
        pytest.skip(f"this machine has no Python {version}")
    subprocess.run([uv, "venv", "--quiet", "--python", base, tmp_path / "venv"], check=True)
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", python, DRIVER, *packages], check=True
    )
    done = subprocess.run(
        [python, "-c", SCRIPT, str(service.port)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    types, row = (
        "['BIGINT', 'TIMESTAMP', 'VARCHAR', 'DECIMAL(18, 2)']",
        "[(2, datetime.datetime(1970, 1, 2, 0, 0), 'RJ', Decimal('20.00'))]",
    )
    assert done.stdout.splitlines() == [f"{types} {row}", "1"]
