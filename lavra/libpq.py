"""Options of Postgres connections by which a server that vanished is noticed."""

from __future__ import annotations

from typing import Final

UNANSWERED_MS: Final = 30_000
"""How long what was sent may stay unacknowledged. Keepalives ask only while nothing is sent, so
without this a statement sent into a broken network waits for the kernel's 15 minutes and more."""

KEEPALIVE: Final = {
    "keepalives": "1", "keepalives_idle": "10", "keepalives_interval": "5", "keepalives_count": "3",
    "tcp_user_timeout": str(UNANSWERED_MS),
}  # fmt: skip


def with_keepalive(conninfo: str) -> str:
    """Return a connection string with :data:`KEEPALIVE`, where it does not say otherwise."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo  # noqa: PLC0415

    return make_conninfo("", **(KEEPALIVE | conninfo_to_dict(conninfo)))
