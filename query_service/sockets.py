"""The address that a server of ours listens on."""

from __future__ import annotations

import socket

from lavra.errors import ProcessError


def listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address.

    Raises:
        ProcessError: the port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ProcessError(
            f"Cannot listen on {host}:{port}: {error.strerror}.",
            remedy="Stop what uses the port, or choose another with --port.",
        ) from error
    listener.set_inheritable(False)
    return listener
