"""An airline's maintenance, event by event: flights wear, checks fall due, defects turn up.

One simulation serves both the history that a new source begins with and what is generated later:
it works on the rows that it is given and says what it changed. Records are corrected and
withdrawn as people do, so that updates and deletes happen.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from lavra.workloads.aviation import reference as ref

Row = dict[str, Any]

KEYS = {
    "stations": "station_code",
    "technicians": "technician_id",
    "aircraft": "aircraft_id",
    "components": "component_id",
    "work_orders": "work_order_id",
    "maintenance_events": "event_id",
    "deferrals": "deferral_id",
}
"""The tables and their keys, those first that others refer to."""

RECENT_EVENTS = 500
"""How many of the latest events may still be corrected or withdrawn."""

FAILURE_SHARE = 0.75
"""Components that are replaced because they failed, of all that are replaced."""


@dataclass(frozen=True)
class Change:
    """A row as it was inserted or became, or the key of one that was deleted."""

    kind: Literal["insert", "update", "delete"]
    table: str
    key: Any
    row: Row = field(default_factory=dict)


@dataclass
class State:
    """The rows that the simulation works on, by table and key, and the next number of each.

    Of ``maintenance_events`` only the latest are needed, of ``work_orders`` those not closed, of
    ``deferrals`` those not rectified, of ``components`` those installed.
    """

    rows: dict[str, dict[Any, Row]]
    next_id: dict[str, int]


class Maintenance:
    """The simulation.

    Args:
        state: What there is; it is changed.
        chance: Where chance comes from: same state and seed, same changes.
    """

    def __init__(self, state: State, chance: random.Random) -> None:
        self.changes: list[Change] = []
        self.events = 0
        self._state, self._chance = state, chance
        self._at = dt.datetime.min.replace(tzinfo=dt.UTC)
        self._aircraft = list(state.rows["aircraft"])
        self._crew: dict[str, list[int]] = {}
        for technician in state.rows["technicians"].values():
            if technician["active"]:
                self._crew.setdefault(technician["station_code"], []).append(
                    technician["technician_id"]
                )
        self._fitted: dict[int, list[int]] = {}
        for component in state.rows["components"].values():
            self._fitted.setdefault(component["aircraft_id"], []).append(component["component_id"])
        self._done: dict[int, int] = {}

    def step(self, at: dt.datetime) -> None:
        """Let one thing happen at a moment, or a few that belong together."""
        self._at = at
        orders, deferrals = self._state.rows["work_orders"], self._state.rows["deferrals"]
        fleet = max(4, len(self._aircraft))
        waiting, deferred = len(orders) - len(deferrals), len(deferrals)
        actions: list[tuple[Callable[[], None], float]] = [
            (self._fly, 30),
            (self._work, 45 * min(1.5, waiting / (fleet / 4))),
            (self._defect, 14),
            (self._rectify, 5 * min(1.5, deferred / (fleet / 2))),
            (self._correct, 4),
            (self._withdraw, 1),
        ]
        action = self._chance.choices([a for a, _ in actions], [w for _, w in actions])[0]
        action()

    # What may happen.

    def _fly(self) -> None:
        aircraft = self._any_aircraft()
        if aircraft["status"] != "active":
            return
        legs = self._chance.randint(1, 6)
        hours = round(Decimal(self._chance.uniform(0.7, 2.9) * legs), 1)
        flown = aircraft["flight_hours"] + hours
        changed: Row = {
            "flight_hours": flown, "flight_cycles": aircraft["flight_cycles"] + legs,
        }  # fmt: skip
        due = next((c for c in ref.CHECKS if flown >= aircraft[f"{c[0]}_due"]), None)
        if due:
            kind, _, tasks = due
            included = ref.CHECKS[ref.CHECKS.index(due) :]
            changed |= {f"{name}_due": flown + interval for name, interval, _ in included}
            changed["status"] = "in_check"
            self._open_order(aircraft, kind, tasks)
        self._update("aircraft", aircraft, changed)

    def _work(self) -> None:
        orders = self._state.rows["work_orders"]
        ready = [row for row in orders.values() if row["status"] != "deferred"]
        if not ready:
            return
        order = self._chance.choice(ready[:40])  # the oldest first, by and large
        done = self._done.get(order["work_order_id"], 0)
        if done >= order["tasks"]:
            self._close(order)
            return
        if order["status"] == "open":
            self._update("work_orders", order, {"status": "in_progress"})
        self._done[order["work_order_id"]] = done + 1
        if order["kind"] == "unscheduled":
            kind = self._chance.choices(("rectification", "replacement"), (6, 4))[0]
        else:
            kind = self._chance.choices(
                ("inspection", "rectification", "replacement"), (80, 12, 8)
            )[0]
        self._event(order, kind)

    def _defect(self) -> None:
        aircraft = self._any_aircraft()
        if aircraft["status"] != "active":
            return
        order = self._open_order(aircraft, "unscheduled", self._chance.randint(1, 3))
        chapter = self._chapter()
        self._event(order, "defect", chapter)
        if self._chance.random() < 0.35:
            category = self._chance.choices(list(ref.MEL_SHARES), list(ref.MEL_SHARES.values()))[0]
            self._update("work_orders", order, {"status": "deferred"})
            self._event(order, "deferral", chapter)
            self._insert("deferrals", {
                "deferral_id": self._new_id("deferrals"), "work_order_id": order["work_order_id"],
                "aircraft_id": order["aircraft_id"], "ata_chapter": chapter,
                "mel_category": category, "deferred_at": self._at,
                "rectify_by": ref.rectify_by(category, self._at), "rectified_at": None,
            })  # fmt: skip
        elif self._chance.random() < 0.15:
            self._update("aircraft", aircraft, {"status": "grounded"})

    def _rectify(self) -> None:
        """Rectify a deferred defect, as a rule the one that is due first."""
        deferrals = list(self._state.rows["deferrals"].values())
        deferral = (
            min(deferrals, key=lambda row: row["rectify_by"])
            if self._chance.random() < 0.7
            else self._chance.choice(deferrals)
        )
        order = self._state.rows["work_orders"].get(deferral["work_order_id"])
        self._update("deferrals", deferral, {"rectified_at": self._at})
        del self._state.rows["deferrals"][deferral["deferral_id"]]
        if order:
            self._event(order, "rectification", deferral["ata_chapter"])
            self._close(order)

    def _correct(self) -> None:
        """Correct what somebody wrote down wrongly."""
        event = self._recent_event()
        if event is None:
            return
        if self._chance.random() < 0.6:
            hours = round(event["man_hours"] * Decimal(self._chance.uniform(0.5, 1.6)), 2)
            changed: Row = {"man_hours": max(Decimal("0.1"), hours)}
        else:
            changed = {"ata_chapter": self._chapter()}
        self._update("maintenance_events", event, changed)

    def _withdraw(self) -> None:
        """Take back a record that was made twice."""
        event = self._recent_event()
        if event is not None and event["kind"] in {"inspection", "rectification"}:
            del self._state.rows["maintenance_events"][event["event_id"]]
            self.changes.append(Change("delete", "maintenance_events", event["event_id"]))

    # What it is made of.

    def _open_order(self, aircraft: Row, kind: str, tasks: int) -> Row:
        away = kind == "unscheduled" and self._chance.random() < 0.6
        station = self._chance.choice(list(self._crew)) if away else aircraft["base_station"]
        order = {
            "work_order_id": self._new_id("work_orders"), "aircraft_id": aircraft["aircraft_id"],
            "station_code": station, "kind": kind, "status": "open", "opened_at": self._at,
            "closed_at": None, "tasks": tasks,
        }  # fmt: skip
        self._insert("work_orders", order)
        return order

    def _close(self, order: Row) -> None:
        self._update("work_orders", order, {"status": "closed", "closed_at": self._at})
        del self._state.rows["work_orders"][order["work_order_id"]]
        aircraft = self._state.rows["aircraft"][order["aircraft_id"]]
        if aircraft["status"] != "active":
            self._update("aircraft", aircraft, {"status": "active"})

    def _event(self, order: Row, kind: str, chapter: int | None = None) -> None:
        fitted = self._fitted.get(order["aircraft_id"], [])
        component = None
        if kind in {"defect", "replacement"} and fitted:
            component = self._state.rows["components"][self._chance.choice(fitted)]
            if kind == "replacement" or chapter is None:
                chapter = int(component["ata_chapter"])
            elif component["ata_chapter"] != chapter:
                component = None
        chapter = chapter or self._chapter()
        name, _, parts = ref.CHAPTERS[chapter]
        part = component["part_number"] if component else self._chance.choice(parts)
        crew = self._crew.get(order["station_code"]) or next(iter(self._crew.values()))
        key = self._new_id("maintenance_events")
        event = {
            "event_id": key, "work_order_id": order["work_order_id"],
            "aircraft_id": order["aircraft_id"], "station_code": order["station_code"],
            "technician_id": self._chance.choice(crew),
            "component_id": component["component_id"] if component else None,
            "kind": kind, "ata_chapter": chapter, "description": f"{kind} of {part} ({name})",
            "man_hours": round(Decimal(self._chance.lognormvariate(0.3, 0.7)), 2),
            "occurred_at": self._at,
        }  # fmt: skip
        self._insert("maintenance_events", event)
        self.events += 1
        events = self._state.rows["maintenance_events"]
        if len(events) > RECENT_EVENTS:
            del events[next(iter(events))]
        if kind == "replacement" and component:
            self._replace(component)

    def _replace(self, component: Row) -> None:
        aircraft = self._state.rows["aircraft"][component["aircraft_id"]]
        reason = "failure" if self._chance.random() < FAILURE_SHARE else "scheduled"
        self._update("components", component, {
            "removed_at": self._at, "removed_hours": aircraft["flight_hours"],
            "removal_reason": reason,
        })  # fmt: skip
        del self._state.rows["components"][component["component_id"]]
        self._fitted[component["aircraft_id"]].remove(component["component_id"])
        self.install(aircraft, component["ata_chapter"], component["part_number"], self._at)

    def install(self, aircraft: Row, chapter: int, part: str, at: dt.datetime) -> None:
        """Install a new component in an aircraft."""
        key = self._new_id("components")
        self._insert("components", {
            "component_id": key, "aircraft_id": aircraft["aircraft_id"], "ata_chapter": chapter,
            "part_number": part, "serial_number": f"SN-{key:07d}", "installed_at": at,
            "installed_hours": aircraft["flight_hours"], "removed_at": None,
            "removed_hours": None, "removal_reason": None,
        })  # fmt: skip
        self._fitted.setdefault(aircraft["aircraft_id"], []).append(key)

    def _any_aircraft(self) -> Row:
        return self._state.rows["aircraft"][self._chance.choice(self._aircraft)]

    def _recent_event(self) -> Row | None:
        events = self._state.rows["maintenance_events"]
        return events[self._chance.choice(list(events))] if events else None

    def _chapter(self) -> int:
        shares = [share for _, share, _ in ref.CHAPTERS.values()]
        return self._chance.choices(list(ref.CHAPTERS), shares)[0]

    def _new_id(self, table: str) -> int:
        self._state.next_id[table] += 1
        return self._state.next_id[table] - 1

    def _insert(self, table: str, row: Row) -> None:
        key = row[KEYS[table]]
        self._state.rows[table][key] = row
        self.changes.append(Change("insert", table, key, dict(row)))

    def _update(self, table: str, row: Row, changed: Row) -> None:
        row.update(changed)
        self.changes.append(Change("update", table, row[KEYS[table]], changed))
