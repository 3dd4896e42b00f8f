"""The server of our own: started by whoever comes first, stopped by whoever leaves last."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

from lavra.catalog.local_postgres import LocalPostgres

USER = """
import sys, time
from pathlib import Path
from lavra.catalog.local_postgres import LocalPostgres
LocalPostgres(Path(sys.argv[1])).start()
print("started", flush=True)
time.sleep(float(sys.argv[2]))
"""


def start_user(folder: Path, seconds: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(folder), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def test_it_keeps_its_data_over_a_restart(tmp_path: Path) -> None:
    server = LocalPostgres(tmp_path)
    server.start()
    with psycopg.connect(server.url()) as connection:
        connection.execute("create table t as select 1 as a")
    server.leave()
    assert not server.is_running
    server.start()
    with psycopg.connect(server.url()) as connection:
        assert connection.execute("select a from t").fetchone() == (1,)
    server.leave()


def test_many_may_start_it_at_once_and_the_last_to_leave_stops_it(tmp_path: Path) -> None:
    code = [sys.executable, "-c", USER, str(tmp_path), "1"]
    users = [subprocess.Popen(code, stdout=subprocess.DEVNULL) for _ in range(4)]
    assert [user.wait(60) for user in users] == [0] * 4
    assert not LocalPostgres(tmp_path).is_running


def test_threads_of_one_process_share_one_lease(tmp_path: Path) -> None:
    server = LocalPostgres(tmp_path)
    threads = [threading.Thread(target=server.start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.is_running
    server.leave()
    assert not server.is_running


def test_a_killed_user_does_not_keep_it_running(tmp_path: Path) -> None:
    killed = start_user(tmp_path, 60)
    last = start_user(tmp_path, 60)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    assert LocalPostgres(tmp_path).is_running
    last.terminate()
    last.wait()
    last.stdout.close()
    other = LocalPostgres(tmp_path)
    other.start()
    other.leave()
    assert not other.is_running


def test_it_recovers_after_a_crash(tmp_path: Path) -> None:
    server = LocalPostgres(tmp_path)
    server.start()
    with psycopg.connect(server.url()) as connection:
        connection.execute("create table t as select 1 as a")
    server.kill()
    server.leave()
    server.start()
    with psycopg.connect(server.url()) as connection:
        assert connection.execute("select a from t").fetchone() == (1,)
    server.leave()


def test_an_interrupted_first_start_is_repaired(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "half").write_text("initdb was killed here")
    server = LocalPostgres(tmp_path)
    server.start()
    assert server.is_running
    server.leave()


def test_options_reach_the_server(tmp_path: Path) -> None:
    server = LocalPostgres(tmp_path, {"wal_level": "logical"})
    server.start()
    with psycopg.connect(server.url()) as connection:
        assert connection.execute("show wal_level").fetchone() == ("logical",)
    server.leave()


def test_nothing_listens_on_the_network(tmp_path: Path) -> None:
    server = LocalPostgres(tmp_path)
    server.start()
    with psycopg.connect(server.url()) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("",)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect("postgresql://postgres@127.0.0.1:5432/postgres", connect_timeout=2)
    server.leave()


def test_its_socket_path_fits_however_deep_the_folder(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    server = LocalPostgres(deep)
    started = time.monotonic()
    server.start()
    assert server.is_running
    assert time.monotonic() - started < 60
    server.leave()
