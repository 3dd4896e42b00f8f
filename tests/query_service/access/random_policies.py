"""Random policies, and what they leave visible, worked out in plain Python without our code."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import random
from decimal import Decimal
from typing import Any

from lavra.access.caller import Caller

SECRET = b"s" * 32
STATES = ["SP", "RJ", "MG", "sp", "", "São Paulo"]
ROLES = ["analyst", "manager", "support", "auditor"]
STRICTEST_FIRST = ["hidden", "null", "hash", "last_four", "month"]
TAGS = {
    "gold_test.customers": {"email": {"pii"}, "phone": {"pii", "contact"}, "name": {"contact"}},
    "gold_test.orders": {"note": {"pii"}},
    "gold_other.events": {},
}
Rows = list[dict[str, Any]]


def make_rows(chance: random.Random, size: int = 40) -> dict[str, Rows]:
    """Return the rows of the tables; some of them make careless casts and divisions fail."""
    day = dt.date(2026, 1, 1)
    customers = [
        {
            "id": i,
            "name": f"Name {i % 7}",
            "email": chance.choice([None, f"user{i}@shop.example", "é@x", "ab"]),
            "phone": chance.choice([None, f"1199{i:04d}", "123", "1234"]),
            "state": chance.choice([*STATES, None]),
            "tier": chance.choice([0, 1, 2, None]),
            "signed_on": day + dt.timedelta(days=chance.randrange(400)),
        }
        for i in range(size)
    ]
    orders = [
        {
            "id": i,
            "customer_id": chance.choice([None, chance.randrange(size + 5)]),
            "amount": Decimal(chance.randrange(-500, 5000)).scaleb(-2),
            "placed_at": dt.datetime(2026, 1, 1) + dt.timedelta(hours=chance.randrange(5000)),
            "status": chance.choice(["paid", "open", "cancelled", None]),
            "note": chance.choice([None, "call back", "o'neil; drop", "12"]),
        }
        for i in range(size * 2)
    ]
    events = [
        {
            "id": i,
            "kind": chance.choice(["click", "view"]),
            "payload": chance.choice(["1", "2", "x7", ""]),
            "weight": chance.choice([0, 1, 5]),
        }
        for i in range(size)
    ]
    return {
        "gold_test.customers": customers,
        "gold_test.orders": orders,
        "gold_other.events": events,
    }


def make_caller(chance: random.Random) -> Caller:
    """Return a caller with some of the roles and of the attributes."""
    claims: dict[str, Any] = {}
    if chance.random() < 0.85:
        claims["states"] = chance.choice([["SP"], ["RJ", "MG"], "SP", [], ["' or 1=1 --"], STATES])
    if chance.random() < 0.85:
        claims["tier"] = chance.choice([0, 1, 2, "1", True, None])
    roles = frozenset(chance.sample(ROLES, chance.randint(1, 3)))
    return Caller("ana", chance.choice(["key", "token"]), roles, claims)


def make_policy(chance: random.Random) -> dict[str, Any]:
    """Return the content of a policy's file."""
    tables = ["gold_test.customers", "gold_test.orders", "gold_other.events"]
    roles: dict[str, Any] = {}
    for name in ROLES:
        grants = []
        for _ in range(chance.randint(0, 2)):
            grant: dict[str, Any] = {
                "tables": chance.choice([["*"], ["gold_test.*"], [chance.choice(tables)]])
            }
            if chance.random() < 0.3:
                grant["except_tables"] = [chance.choice(tables)]
            if chance.random() < 0.3:
                grant["columns"] = ["id", "*_id", chance.choice(["amount", "state", "kind", "n*"])]
            if chance.random() < 0.3:
                grant["except_columns"] = [chance.choice(["email", "note", "p*", "tier"])]
            grants.append(grant)
        roles[name] = {"grants": grants}
    roles[chance.choice(ROLES)]["grants"].append({"tables": ["*"]})
    rows = [
        {"tables": [table], "filter": _sql(make_filter(chance, table))} | _scope(chance)
        for table in tables
        for _ in range(chance.choice([0, 1, 1, 2]))
    ]
    masks: list[dict[str, Any]] = []
    for _ in range(chance.randint(0, 3)):
        rule: dict[str, Any] = {"mask": chance.choice(STRICTEST_FIRST)} | _scope(chance)
        if chance.random() < 0.5:
            rule["tags"] = [chance.choice(["pii", "contact"])]
        else:
            rule |= {
                "columns": [chance.choice(["signed_on", "placed_at", "email", "tier", "amount"])]
            }
        masks.append(rule)
    return {
        "attributes": {
            "states": {"claim": "states", "multiple": True},
            "tier": {"claim": "tier", "type": "integer"},
        },
        "roles": roles,
        "rows": rows,
        "masks": masks,
    }


def _scope(chance: random.Random) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    if chance.random() < 0.5:
        scope["roles"] = chance.sample(ROLES, 2)
    if chance.random() < 0.2:
        scope["except_roles"] = [chance.choice(ROLES)]
    return scope


_FILTERS: dict[str, tuple[set[str], Any]] = {}
"""What each generated filter reads of the caller, and what it says in Python; by its text."""


def make_filter(chance: random.Random, table: str) -> tuple[str, set[str], Any]:
    """Return a filter as SQL, the attributes it names, and the same as a function in Python.

    The function takes a row and the attributes, and returns True, False or None (unknown).
    """
    numbers = {"gold_test.customers": "tier", "gold_test.orders": "amount"}.get(table, "weight")
    texts = {"gold_test.customers": "state", "gold_test.orders": "status"}.get(table, "kind")
    wanted = chance.choice(["SP", "paid", "click", "view"])
    least = chance.randint(0, 3)
    simple = [
        (f"{texts} = '{wanted}'", set(), lambda r, _: _equal(r[texts], wanted)),
        (f"{texts} is null", set(), lambda r, _: r[texts] is None),
        (f"{numbers} >= {least}", set(), lambda r, _: _compare(r[numbers], least)),
        ("id % 3 = 1", set(), lambda r, _: r["id"] % 3 == 1),
        (f"{texts} in $states", {"states"}, lambda r, a: _within(r[texts], a["states"])),
        (f"{numbers} = $tier", {"tier"}, lambda r, a: _equal(r[numbers], a["tier"])),
        ("false", set(), lambda *_: False),
    ]
    sql, names, function = chance.choice(simple)
    shape = chance.random()
    if shape < 0.3:
        other_sql, more, other = chance.choice(simple)
        joined = chance.choice([" or ", " and "])
        decide = _any if joined == " or " else _all
        return (
            f"({sql}){joined}({other_sql})",
            names | more,
            lambda r, a: decide(function(r, a), other(r, a)),
        )
    if shape < 0.5:
        return f"not ({sql})", names, lambda r, a: _not(function(r, a))
    return sql, names, function


def _sql(made: tuple[str, set[str], Any]) -> str:
    _FILTERS[made[0]] = made[1], made[2]
    return made[0]


def visible(policy: dict[str, Any], caller: Caller, rows: dict[str, Rows]) -> dict[str, Any]:
    """Return, by table, the visible columns with their masks and the rows as they are shown."""
    attributes: dict[str, Any] = {}
    states = caller.claims.get("states")
    listed = states if isinstance(states, list) else [states] if states is not None else []
    if listed:
        attributes["states"] = listed
    if type(caller.claims.get("tier")) is int:
        attributes["tier"] = caller.claims["tier"]
    shown: dict[str, Any] = {}
    for table, all_rows in rows.items():
        columns = [
            (column, mask)
            for column in all_rows[0]
            if _granted(policy, caller, table, column)
            and (mask := _mask(policy, caller, table, column)) != "hidden"
        ]
        if not columns:
            continue
        kept = all_rows
        for rule in policy["rows"]:
            if table in rule["tables"] and _holds(rule, caller):
                names, function = _FILTERS[rule["filter"]]
                if not names <= attributes.keys():
                    kept = []
                kept = [row for row in kept if function(row, attributes) is True]
        shown[table] = (
            columns,
            [{c: _masked(row[c], mask) for c, mask in columns} for row in kept],
        )
    return shown


def _granted(policy: dict[str, Any], caller: Caller, table: str, column: str) -> bool:
    for role in caller.roles:
        for grant in policy["roles"][role]["grants"]:
            pattern = grant["tables"][0]
            fits = pattern in ("*", table)
            fits = fits or (pattern.endswith(".*") and table.startswith(pattern[:-1]))
            if not fits or table in grant.get("except_tables", []):
                continue
            if any(_like(column, p) for p in grant.get("except_columns", [])):
                continue
            if any(_like(column, p) for p in grant.get("columns", ["*"])):
                return True
    return False


def _like(name: str, pattern: str) -> bool:
    if pattern.startswith("*"):
        return name.endswith(pattern[1:])
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _holds(rule: dict[str, Any], caller: Caller) -> bool:
    named = not rule.get("roles") or any(role in caller.roles for role in rule["roles"])
    return named and not any(role in caller.roles for role in rule.get("except_roles", []))


def _mask(policy: dict[str, Any], caller: Caller, table: str, column: str) -> str | None:
    kinds = {
        rule["mask"]
        for rule in policy["masks"]
        if _holds(rule, caller)
        and (
            TAGS[table].get(column, set()) & set(rule.get("tags", []))
            or column in rule.get("columns", [])
        )
    }
    return next((kind for kind in STRICTEST_FIRST if kind in kinds), None)


def _masked(value: Any, mask: str | None) -> Any:
    if mask is None or value is None:
        return value
    text = str(value)
    if mask == "hash":
        return hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()
    if mask == "last_four":
        return "****" + (text[-4:] if len(text) > 4 else "")
    if mask == "month" and isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, 1)
    if mask == "month" and isinstance(value, dt.date):
        return value.replace(day=1)
    return None


def _equal(value: Any, wanted: Any) -> bool | None:
    return None if value is None else value == wanted


def _compare(value: Any, least: int) -> bool | None:
    return None if value is None else value >= least


def _within(value: Any, items: list[Any]) -> bool | None:
    return None if value is None else value in items


def _not(one: bool | None) -> bool | None:
    return None if one is None else not one


def _all(one: bool | None, other: bool | None) -> bool | None:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _any(one: bool | None, other: bool | None) -> bool | None:
    if one or other:
        return True
    return None if one is None or other is None else False
