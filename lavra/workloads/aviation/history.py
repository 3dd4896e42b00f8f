"""The history that a new source begins with: a fleet, and half a year of its maintenance."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Sequence
from decimal import Decimal

from lavra.workloads.aviation import reference as ref
from lavra.workloads.aviation.maintenance import KEYS, Maintenance, Row, State

DEFAULT_AIRCRAFT = 120
DEFAULT_DAYS = 180
STEPS_PER_AIRCRAFT_AND_DAY = 3.0


def make_history(
    *,
    seed: int,
    scale: float,
    end: dt.datetime,
    days: int = DEFAULT_DAYS,
    fleet: Sequence[ref.Airframe] = (),
    stations: Sequence[ref.Station] = ref.STATIONS,
) -> dict[str, list[Row]]:
    """Return the rows of every table up to ``end``: same arguments, same rows.

    Args:
        seed: Of chance.
        scale: 1 gives 120 aircraft (unless ``fleet`` lists them) and about 25,000 events.
        end: The last moment, with a time zone.
        days: How far back it goes.
        fleet: The aircraft, from a registry; made up when empty.
        stations: Where maintenance is done.
    """
    chance = random.Random(seed)  # noqa: S311 - a workload, not a secret
    begin = end - dt.timedelta(days=days)
    fleet = fleet or ref.make_fleet(chance, max(4, round(DEFAULT_AIRCRAFT * scale)))
    state = State({table: {} for table in KEYS}, dict.fromkeys(KEYS, 1))
    for station in stations:
        state.rows["stations"][station.code] = {
            "station_code": station.code, "name": station.name, "latitude": station.latitude,
            "longitude": station.longitude, "time_zone": station.time_zone,
        }  # fmt: skip
    for key, code in enumerate([s.code for s in stations for _ in range(8)], start=1):
        state.rows["technicians"][key] = {
            "technician_id": key,
            "name": f"{chance.choice(ref.FIRST_NAMES)} {chance.choice(ref.LAST_NAMES)}",
            "licence": chance.choices(list(ref.LICENCES), list(ref.LICENCES.values()))[0],
            "station_code": code,
            "active": True,
        }
    for key, airframe in enumerate(fleet, start=1):
        state.rows["aircraft"][key] = _aircraft(chance, key, airframe, stations, begin)
    tables = {table: dict(rows) for table, rows in state.rows.items()}
    simulation = Maintenance(state, chance)
    for aircraft in state.rows["aircraft"].values():
        for chapter, (_, _, parts) in ref.CHAPTERS.items():
            part = chance.choice(parts)
            fitted_at = begin - dt.timedelta(days=chance.randint(1, 900))
            simulation.install(aircraft, chapter, part, fitted_at)
    steps = round(len(fleet) * days * STEPS_PER_AIRCRAFT_AND_DAY)
    for step in range(steps):
        simulation.step(begin + (end - begin) * ((step + chance.random()) / steps))
    for change in simulation.changes:
        rows = tables[change.table]
        if change.kind == "delete":
            del rows[change.key]
        elif change.kind == "insert":
            rows[change.key] = dict(change.row)
        else:
            rows[change.key].update(change.row)
    return {table: list(rows.values()) for table, rows in tables.items()}


def _aircraft(
    chance: random.Random,
    key: int,
    airframe: ref.Airframe,
    stations: Sequence[ref.Station],
    begin: dt.datetime,
) -> Row:
    years = begin.year - (airframe.year_built or begin.year - 12)
    hours = round(Decimal(max(0, years) * chance.uniform(2300, 3300)), 1)
    row: Row = {
        "aircraft_id": key, "tail_number": airframe.tail_number,
        "manufacturer": airframe.manufacturer, "model": airframe.model,
        "year_built": airframe.year_built,
        "base_station": chance.choices(stations, range(len(stations), 0, -1))[0].code,
        "status": "active", "flight_hours": hours, "flight_cycles": int(hours / Decimal("1.6")),
    }  # fmt: skip
    for kind, interval, _ in ref.CHECKS:
        row[f"{kind}_due"] = hours + round(Decimal(chance.uniform(0.02, 1) * interval), 1)
    return row
