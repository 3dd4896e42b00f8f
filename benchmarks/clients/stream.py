"""Reads a chunked answer as quickly as Python can: straight from the socket into one buffer."""

from __future__ import annotations

import socket

import pyarrow as pa

MOST_LINE = 64


def post_for_arrow(address: tuple[str, int], request: bytes, room: bytearray) -> pa.Table:
    """Send a request's bytes and return the Arrow stream that answers it.

    Args:
        address: Host and port.
        request: A whole HTTP/1.1 request.
        room: Takes the body; the table's columns lie in it.

    Raises:
        RuntimeError: the status is not 200, or the answer is not whole.
    """
    view = memoryview(room)
    with socket.create_connection(address, timeout=300) as connection:
        connection.sendall(request)
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += _receive(connection)
        head, rest = data[:end].lower(), data[end + 4 :]
        if not head.startswith(b"http/1.1 200") or b"transfer-encoding: chunked" not in head:
            raise RuntimeError(data[:500].decode(errors="replace"))
        at = 0
        while True:
            while (end := rest.find(b"\r\n")) < 0:
                rest += _receive(connection)
            size = int(rest[:end], 16)
            rest = rest[end + 2 :]
            if not size:
                break
            stop, begin = at + size, at
            taken = min(len(rest), size)
            view[at : at + taken] = rest[:taken]
            at, rest = at + taken, rest[taken:]
            while at < stop:
                got = connection.recv_into(view[at:stop])
                if not got:
                    raise RuntimeError(f"the answer ended {stop - at} bytes into {stop - begin}")
                at += got
            while len(rest) < 2:
                rest += _receive(connection)
            rest = rest[2:]
    return pa.ipc.open_stream(pa.py_buffer(view[:at])).read_all()


def _receive(connection: socket.socket) -> bytes:
    data = connection.recv(MOST_LINE)
    if not data:
        raise RuntimeError("the server closed the connection")
    return data
