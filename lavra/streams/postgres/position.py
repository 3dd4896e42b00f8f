"""Where a Postgres stream stands: what is committed with every batch, as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lavra.streams.source import Position

PENDING, LOADING, FOLLOWED = "pending", "loading", "followed"


@dataclass(frozen=True)
class TableState:
    """How far one table is.

    Attributes:
        state: ``pending`` (to be loaded), ``loading``, or ``followed``.
        generation: Of its rows; each load is a new one.
        loaded_lsn: The snapshot of its load: it holds every transaction that committed before.
        marker: Sequence number of the row that ends what came before this load; 0 without any.
        columns: What we know of its columns: name -> [Postgres's number, type].
        loads: Complete loads so far.
    """

    state: str = PENDING
    generation: int = 0
    loaded_lsn: int = 0
    marker: int = 0
    columns: dict[str, list[Any]] = field(default_factory=dict)
    loads: int = 0


@dataclass(frozen=True)
class PostgresPosition:
    """Where the stream goes on.

    Attributes:
        identity: Of the server and its database; another one has another history.
        lsn: All transactions up to here are landed.
        partial_lsn: Commit position of the transaction that is landed in part; 0 without any.
        partial_skip: How many of its changes are landed.
        tables: By ``schema.table``.
    """

    identity: str
    lsn: int = 0
    partial_lsn: int = 0
    partial_skip: int = 0
    tables: dict[str, TableState] = field(default_factory=dict)

    @classmethod
    def parse(cls, position: Position) -> PostgresPosition:
        """Return a position that was kept as JSON."""
        tables = {name: TableState(**state) for name, state in position["tables"].items()}
        return cls(**{**position, "tables": tables})

    def to_json(self) -> Position:
        """Return what :meth:`parse` takes."""
        return asdict(self)

    def with_table(self, name: str, **changes: Any) -> PostgresPosition:
        """Return the position with one table changed."""
        table = replace(self.tables.get(name, TableState()), **changes)
        return replace(self, tables={**self.tables, name: table})
