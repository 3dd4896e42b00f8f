"""Segments on disk: whole or not there, whatever happened to the process or the disk."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from lavra.errors import StorageError
from query_service.cache.loader import LoadReport, load_release
from query_service.cache.segments import is_segment, open_segment, segment_rows, write_segment
from query_service.releases import read_release
from tests.query_service.conftest import Lake, query, serving, wait_until

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string_view())])
LARGEST_FILE = 256 * 1024


def batches(count: int = 3) -> Iterator[pa.RecordBatch]:
    for number in range(count):
        rows = [{"id": number * 10 + i, "name": f"a rather long name {i}"} for i in range(10)]
        yield pa.RecordBatch.from_pylist(rows, SCHEMA)


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process grow beyond ``LARGEST_FILE`` bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("damage", ["cut", "cut to nothing", "longer", "end overwritten"])
def test_a_damaged_segment_is_none(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "s.seg"
    assert write_segment(path, SCHEMA, batches()) == segment_rows(path) == 30
    assert is_segment(path)
    whole = path.read_bytes()
    path.write_bytes(
        {
            "cut": whole[:-100],
            "cut to nothing": b"",
            "longer": whole[:64] + whole,
            "end overwritten": whole[:-8] + bytes(8),
        }[damage]
    )
    assert not is_segment(path)
    with pytest.raises(ValueError, match="segment"):
        open_segment(path)
    assert not is_segment(tmp_path / "nowhere.seg")


def test_a_kill_while_writing_leaves_no_segment(tmp_path: Path) -> None:
    path = tmp_path / "s.seg"
    program = (
        "import os, sys, signal; from pathlib import Path;"
        "from query_service.cache.segments import write_segment;"
        "from tests.query_service.cache.test_segments import SCHEMA, batches\n"
        "def killed():\n"
        "    yield from batches()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_segment(Path(sys.argv[1]), SCHEMA, killed())\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert ended.returncode == -9
    assert not path.exists()
    assert len(list(tmp_path.iterdir())) == 1  # what it had begun, under another name
    write_segment(path, SCHEMA, batches())
    assert segment_rows(path) == 30


def load(lake: Lake, folder: Path, release_id: int) -> LoadReport:
    with lake.catalog.connect() as connection:
        release = read_release(connection, release_id)
    assert release is not None
    return load_release(lake.catalog, lake.storage, release, folder)


def test_damage_full_disks_and_restarts(lake: Lake, tmp_path: Path) -> None:
    lake.duck.execute("create table lake.gold_test.t as select range as id from range(1000)")
    release = lake.release()
    folder = tmp_path / "cache"
    first = load(lake, folder, release)
    (segment,) = first.cached[0].segments
    Path(segment).write_bytes(Path(segment).read_bytes()[:-1])
    again = load(lake, folder, release)
    assert (again.segments_written, again.segments_reused) == (1, 0)
    assert again.cached == first.cached
    assert is_segment(Path(segment))

    lake.duck.execute("create table lake.gold_test.large as select range as id from range(200000)")
    larger = lake.release()
    with full_disk(), pytest.raises(StorageError, match=r"(?s)gold_test\.large.*Make room") as told:
        load(lake, folder, larger)
    assert told.value.remedy
    assert not list(folder.rglob("*.tmp"))
    assert len(load(lake, folder, larger).cached) == 2

    # The service: what a killed one left is gone, and a full disk leaves the release before.
    cache = lake.settings.state / "service" / "cache"
    left = cache / "segments" / "ab" / "x.seg.1.tmp"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    with serving(lake.settings) as client:
        assert query(client, "select count(*) as n from gold_test.large")["rows"] == [[200000]]
        wait_until(lambda: not left.exists())
        served = client.get("/v1/snapshot").json()["id"]
        lake.duck.execute("create or replace table lake.gold_test.large as select range + 1 as id "
                          "from range(200001)")  # fmt: skip
        with full_disk():
            newest = lake.release()
            client.post("/v1/refresh")
            assert client.get("/v1/snapshot").json()["id"] == served
            answer = query(client, "select count(*) as n from gold_test.large")
            assert answer["rows"] == [[200000]]
        wait_until(lambda: client.get("/v1/snapshot").json()["id"] == str(newest))
        assert query(client, "select count(*) as n from gold_test.large")["rows"] == [[200001]]
