"""The airline's maintenance database: made with a history, and written on."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from lavra.workloads.aviation import reference as ref
from lavra.workloads.aviation.maintenance import KEYS, Change, Maintenance, State
from lavra.workloads.servers import copy_rows, filling, scalar, touch_on_update, workload_server

if TYPE_CHECKING:
    from lavra.catalog.local_postgres import LocalPostgres
    from lavra.settings import Settings

DOMAIN = "aviation"
DATABASE = "fleet"
SEED = 7
STEPS_PER_EVENT = 100
"""A bound: events are about a third of what happens."""

WITHOUT_UPDATES = frozenset({"stations"})

_TAKE_TURNS = "select pg_advisory_xact_lock(hashtext('lavra.workloads.aviation'))"

_WORKING_SET = {
    "stations": "select * from stations",
    "technicians": "select * from technicians where active",
    "aircraft": "select * from aircraft",
    "components": "select * from components where removed_at is null",
    "work_orders": "select * from work_orders where status <> 'closed' order by work_order_id",
    "maintenance_events": "select * from (select * from maintenance_events order by event_id desc "
    "limit 500) recent order by event_id",
    "deferrals": "select * from deferrals where rectified_at is null",
}  # fmt: skip


@dataclass(frozen=True)
class AviationSource:
    """Where the maintenance database is."""

    url: str


def source_server(settings: Settings) -> LocalPostgres:
    """Return this process's handle on the airline's Postgres; it may not be started."""
    return workload_server(settings, DOMAIN)


def ensure_source(
    settings: Settings, *, seed: int = SEED, end: dt.datetime | None = None
) -> AviationSource:
    """Start the airline's Postgres, fill it on the first call, and return where it is.

    What is there stays. The database is filled in one transaction, so a crash leaves it empty
    and the next call fills it; calls at the same time wait for the first. The fleet's size is
    the setting ``workload_scale``, or the fleet is read from ``aviation_registry``.

    Raises:
        CatalogUnavailable: the Postgres server does not start.
        ConfigurationError: the registry cannot be read.
    """
    server = source_server(settings)
    server.start()
    with filling(server, DATABASE) as connection:
        _fill_once(connection, settings, seed=seed, end=end)
    return AviationSource(server.url(DATABASE))


def fill_database(url: str, settings: Settings) -> None:
    """Fill a database that somebody else runs, unless it is; calls at the same time take turns.

    Raises:
        psycopg.Error: the database is away, or its user may not make tables.
    """
    with psycopg.connect(url, connect_timeout=10) as connection:
        connection.execute(_TAKE_TURNS)
        _fill_once(connection, settings)


def _fill_once(
    connection: psycopg.Connection,
    settings: Settings,
    *,
    seed: int = SEED,
    end: dt.datetime | None = None,
) -> None:
    if scalar(connection, sql.SQL("select to_regclass('aircraft') is null")):
        fill(connection, settings, seed=seed, end=end or dt.datetime.now(dt.UTC))


def fill(
    connection: psycopg.Connection, settings: Settings, *, seed: int, end: dt.datetime
) -> None:
    """Make the tables and their history in an empty database, in the connection's transaction."""
    from lavra.workloads.aviation.history import make_history  # noqa: PLC0415

    fleet: list[ref.Airframe] = []
    stations = list(ref.STATIONS)
    if settings.aviation_registry:
        fleet, stations = ref.read_registry(settings.aviation_registry)
    tables = make_history(
        seed=seed, scale=settings.workload_scale, end=end, fleet=fleet, stations=stations
    )
    connection.execute((files(__package__) / "schema.sql").read_bytes())
    for table, rows in tables.items():
        columns = list(rows[0])
        copy_rows(connection, table, columns, ([row[c] for c in columns] for row in rows))
        if table not in WITHOUT_UPDATES:
            touch_on_update(connection, table)


def generate(
    url: str, events: int, *, seed: int | None = None, at: dt.datetime | None = None
) -> dict[str, dict[str, int]]:
    """Let maintenance go on in one transaction until some events are recorded.

    Calls at the same time take turns. A crash leaves nothing of the call.

    Args:
        url: Of a database that :func:`fill` made.
        events: Maintenance events to record; flights, corrections and withdrawals come along.
        seed: Same seed and same database, same changes.
        at: The moment of what happens; now, when not given.

    Returns:
        ``{"inserted": {table: rows}, "updated": {...}, "deleted": {...}}``.

    Raises:
        psycopg.Error: the database is away, or was not made by :func:`fill`.
    """
    with psycopg.connect(url, connect_timeout=10) as connection:
        connection.execute(_TAKE_TURNS)
        chance = random.Random(seed)  # noqa: S311 - a workload, not a secret
        simulation = Maintenance(_load(connection), chance)
        moment = at or dt.datetime.now(dt.UTC)
        for _ in range(events * STEPS_PER_EVENT):
            if simulation.events >= events:
                break
            simulation.step(moment)
        _write(connection, simulation.changes)
    counts: dict[str, dict[str, int]] = {"inserted": {}, "updated": {}, "deleted": {}}
    for change in simulation.changes:
        tables = counts[
            {"insert": "inserted", "update": "updated", "delete": "deleted"}[change.kind]
        ]
        tables[change.table] = tables.get(change.table, 0) + 1
    return counts


def _load(connection: psycopg.Connection) -> State:
    rows, next_id = {}, {}
    with connection.cursor(row_factory=dict_row) as cursor:
        for table, statement in _WORKING_SET.items():
            key = KEYS[table]
            rows[table] = {row[key]: row for row in cursor.execute(statement.encode()).fetchall()}
    for table, key in KEYS.items():
        if table not in WITHOUT_UPDATES:
            newest = sql.SQL("select coalesce(max({}), 0) + 1 from {}")
            next_id[table] = int(
                scalar(connection, newest.format(sql.Identifier(key), sql.Identifier(table)))
            )
    return State(rows, next_id)


def _write(connection: psycopg.Connection, changes: list[Change]) -> None:
    with connection.pipeline(), connection.cursor() as cursor:
        for change in changes:
            table, key = sql.Identifier(change.table), sql.Identifier(KEYS[change.table])
            names = list(change.row)
            columns = sql.SQL(", ").join(map(sql.Identifier, names))
            values = [change.row[name] for name in names]
            if change.kind == "insert":
                marks = sql.SQL(", ").join([sql.Placeholder()] * len(names))
                statement = sql.SQL("insert into {} ({}) values ({})").format(table, columns, marks)
            elif change.kind == "update":
                assignments = sql.SQL(", ").join(
                    sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder())
                    for name in names
                )
                statement = sql.SQL("update {} set {} where {} = {}").format(
                    table, assignments, key, sql.Placeholder()
                )
                values.append(change.key)
            else:
                statement = sql.SQL("delete from {} where {} = {}").format(
                    table, key, sql.Placeholder()
                )
                values.append(change.key)
            cursor.execute(statement, values)


def leave(settings: Settings) -> None:
    """Give up this process's hold on the airline's Postgres; the last one to leave stops it."""
    source_server(settings).leave()
