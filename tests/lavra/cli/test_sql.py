"""`lavra sql` and `lavra serve` as a person uses them."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pyarrow as pa

from tests.conftest import free_port
from tests.query_service.conftest import Lake, lake, serving  # noqa: F401 - a fixture

LAVRA = str(Path(sys.executable).parent / "lavra")


def run(project: Path, *arguments: str, url: str = "", text: str = "") -> tuple[int, bytes, str]:
    environment = {**os.environ, "LAVRA_SERVICE_URL": url, "COLUMNS": "120"}
    done = subprocess.run(
        [LAVRA, *arguments],
        cwd=project,
        env=environment,
        input=text.encode(),
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr.decode()


def test_sql_in_every_format(lake: Lake) -> None:  # noqa: F811
    lake.duck.execute("create table lake.gold_test.t as select 1 as id, 'São Paulo' as city")
    lake.release()
    with serving(lake.settings) as client:
        url, project = str(client.base_url), lake.settings.project
        code, out, err = run(project, "sql", "select * from gold_test.t", url=url)
        assert code == 0, err
        assert "São Paulo" in out.decode()
        assert "1 rows" in err
        _, out, _ = run(project, "sql", "-", "--json", url=url, text="select 1 as one")
        assert json.loads(out)["rows"] == [[1]]
        _, out, _ = run(project, "sql", "select city from gold_test.t", "-f", "csv", url=url)
        assert out.decode() == "city\r\nSão Paulo\r\n"
        _, out, _ = run(project, "sql", "select 2 as two", "--format", "arrow", url=url)
        assert pa.ipc.open_stream(io.BytesIO(out)).read_all().to_pylist() == [{"two": 2}]
        _, out, _ = run(
            project, "sql", "select $n + 1 as n, $s as s", "-f", "ndjson",
            "-p", "n=4", "-p", "s=it's", url=url,
        )  # fmt: skip
        assert json.loads(out) == {"n": 5, "s": "it's"}
        code, _, err = run(project, "sql", "select nope", url=url)
        assert (code, "invalid_sql" in err) == (1, True)


def test_no_service_says_so(project: Path) -> None:
    code, _, err = run(project, "sql", "select 1", url=f"http://127.0.0.1:{free_port()}")
    assert code == 1
    assert "lavra serve" in err


def test_serve_runs_until_it_is_told_to_stop(lake: Lake) -> None:  # noqa: F811
    lake.duck.execute("create table lake.gold_test.t as select 1 as id")
    lake.release()
    port = free_port()
    process = subprocess.Popen(
        [LAVRA, "serve", "--port", str(port)],
        cwd=lake.settings.project,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None
            assert time.monotonic() < deadline
            try:
                if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                    break
            except httpx.ConnectError:
                pass
            time.sleep(0.1)
        second = subprocess.run(
            [LAVRA, "serve", "--port", str(port)],
            cwd=lake.settings.project,
            capture_output=True,
            check=False,
        )
        assert second.returncode == 1
        assert b"Another query service" in second.stderr
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    assert process.returncode == 0, log.decode()
    assert b"Traceback" not in log
