"""The driver in environments of others: the oldest pyarrow it promises, and nothing else."""

from __future__ import annotations

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


@pytest.mark.parametrize("urllib3", ["1.26", "2.5"])
def test_oldest_pyarrow_and_nothing_of_the_service(
    service: ToyService, tmp_path: Path, urllib3: str
) -> None:
    uv = find_uv_bin()
    python = tmp_path / "venv" / "bin" / "python"
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([uv, "venv", "--quiet", "--python", base, tmp_path / "venv"], check=True)
    subprocess.run(
        [
            uv, "pip", "install", "--quiet", "--python", python, DRIVER, "pyarrow==14.0.2",
            "numpy<2", f"urllib3=={urllib3}.*",
        ],
        check=True,
    )  # fmt: skip
    done = subprocess.run(
        [python, "-c", SCRIPT, str(service.port)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    types, row = (
        "['BIGINT', 'TIMESTAMP', 'VARCHAR', 'DECIMAL(18, 2)']",
        "[(2, datetime.datetime(1970, 1, 2, 0, 0), 'RJ', Decimal('20.00'))]",
    )
    assert done.stdout.splitlines() == [f"{types} {row}", "1"]
