"""DB-API 2.0 (PEP 249) driver for Lavra's query service.

    import lavra_driver

    with lavra_driver.connect("localhost", 8080, api_key="...") as connection:
        cursor = connection.execute("select * from gold.orders where revenue > ?", [100])
        print(cursor.fetchall(), cursor.snapshot_id, cursor.data_through)

Nothing beyond pyarrow and urllib3 is needed, and neither is imported before the first connection.
The SQLAlchemy dialect is ``lavra_driver.dialect``, Superset's engine spec
``lavra_driver.superset.engine_spec``; both are found by their entry points.
"""

from __future__ import annotations

from lavra_driver.connection import Connection, connect
from lavra_driver.cursor import Cursor
from lavra_driver.exceptions import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,  # noqa: A004 - the name is PEP 249's
)
from lavra_driver.types import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    Binary,
    Date,
    DateFromTicks,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
)

__version__ = "0.1.0"

apilevel = "2.0"
threadsafety = 2
"""Threads may share the module and connections, not cursors."""
paramstyle = "qmark"

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Binary",
    "Connection",
    "Cursor",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "threadsafety",
]
