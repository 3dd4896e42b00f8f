"""The benchmark of Arrow streams, small: what it reads is whole, and a broken answer is told."""

from __future__ import annotations

import io
import socket
import threading

import pyarrow as pa
import pytest

from benchmarks import arrow_stream
from benchmarks.clients.stream import post_for_arrow


def test_it_compares_with_a_collect_and_with_the_bytes_alone() -> None:
    ratios = arrow_stream.main(["--rows", "100000", "--repeat", "1"])
    assert len(ratios) == 2 * len(arrow_stream.QUERIES)
    assert {ratio.reference_name for ratio in ratios} == {
        "collect in-process", "the bytes alone, loopback",
    }  # fmt: skip
    assert all(ratio.measured > 0 for ratio in ratios)


def answered(answer: bytes, cut: int) -> pa.Table:
    """Read an answer that comes in pieces of ``cut`` bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                for at in range(0, len(answer), cut):
                    connection.sendall(answer[at : at + cut])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            return post_for_arrow(listener.getsockname(), b"request", bytearray(1 << 16))
        finally:
            thread.join()


def test_chunks_are_read_wherever_they_are_cut() -> None:
    table = pa.table({"id": list(range(500))})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, 100)
    body = sink.getvalue()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(body[at : at + 333]), body[at : at + 333])
        for at in range(0, len(body), 333)
    )
    for cut in (1000, 97, 65_536):
        assert answered(head + chunks + b"0\r\n\r\n", cut).equals(table)
    with pytest.raises(RuntimeError, match=r"closed|ended"):
        answered(head + chunks[:-50], 97)
    with pytest.raises(RuntimeError, match="500 Oops"):
        answered(b"HTTP/1.1 500 Oops\r\n\r\n", 97)
