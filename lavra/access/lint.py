"""Checks a policy against the project's Gold models, without a server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lavra.access.policy import BUILT_IN, MaskRule, Policy, RowRule
from lavra.access.record import is_system
from lavra.access.rights import grant_names, mask_names, matches
from lavra.dashboards.access_record import record_table

if TYPE_CHECKING:
    from lavra.dashboards.gold import Gold, GoldTable


@dataclass(frozen=True)
class Problem:
    """What is wrong, and where: ``file:line``."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


def lint(policy: Policy, gold: Gold) -> list[Problem]:
    """Return what is wrong with a policy; empty is good."""
    tables = list(gold.tables.values())
    if _names_record(policy):
        tables.append(record_table())
    found = [
        *_grants(policy, tables),
        *(p for i, rule in enumerate(policy.rows) for p in _row_rule(policy, i, rule, tables)),
        *(p for i, rule in enumerate(policy.masks) for p in _mask_rule(policy, i, rule, tables)),
        *_unmasked_tags(policy, tables),
        *_idle_roles(policy),
    ]
    return list(dict.fromkeys(found))


def _names_record(policy: Policy) -> bool:
    """Whether the policy speaks of the access log; a wildcard that was meant for Gold does not."""
    grants = (grant for role in policy.roles.values() for grant in role.grants)
    named = [p for g in grants for p in (*g.tables, *g.except_tables)]
    named += [p for rule in policy.rows for p in rule.tables]
    named += [p for rule in policy.masks for p in rule.tables]
    return any(is_system(pattern) for pattern in named)


def _grants(policy: Policy, tables: list[GoldTable]) -> Iterator[Problem]:
    for name, role in policy.roles.items():
        for i, grant in enumerate(role.grants):
            key = ("roles", name, "grants", i)
            yield from _tables(policy, (*key, "tables"), grant.tables, tables)
            yield from _tables(policy, (*key, "except_tables"), grant.except_tables, tables)
            named = [t for t in tables if grant_names(grant, t.full_name)]
            yield from _columns(policy, (*key, "columns"), grant.columns, named)
            yield from _columns(policy, (*key, "except_columns"), grant.except_columns, named)


def _row_rule(
    policy: Policy, index: int, rule: RowRule, tables: list[GoldTable]
) -> Iterator[Problem]:
    key = ("rows", index)
    yield from _tables(policy, (*key, "tables"), rule.tables, tables)
    yield from _roles(policy, key, rule)
    place = policy.place(*key, "filter")
    for attribute in sorted(rule.parsed.attributes - policy.attributes.keys() - BUILT_IN):
        yield Problem(place, f"there is no attribute {attribute}: nobody would see a row")
    for table in tables:
        if not matches(table.full_name, rule.tables):
            continue
        missing = sorted(rule.parsed.columns - {c.casefold() for c in table.columns})
        if missing:
            yield Problem(
                place,
                f"{table.full_name} has no column {', '.join(missing)}: nobody would see the table",
            )
        elif rule.parsed.attributes <= policy.attributes.keys() | BUILT_IN:
            error = _try_filter(policy, rule, table)
            if error:
                yield Problem(place, f"on {table.full_name}: {error}")


def _mask_rule(
    policy: Policy, index: int, rule: MaskRule, tables: list[GoldTable]
) -> Iterator[Problem]:
    key = ("masks", index)
    yield from _tables(policy, (*key, "tables"), rule.tables, tables)
    yield from _roles(policy, key, rule)
    named = [table for table in tables if matches(table.full_name, rule.tables)]
    yield from _columns(policy, (*key, "columns"), rule.columns, named)
    known = {tag for table in named for column in table.columns.values() for tag in column.tags}
    for tag in rule.tags:
        if tag not in known:
            yield Problem(policy.place(*key, "tags"), f"no column of a Gold model is tagged #{tag}")
    for table in named:
        for column in table.columns.values():
            if (
                rule.mask == "month"
                and not column.is_time
                and mask_names(rule, table.full_name, column.name, frozenset(column.tags))
            ):
                yield Problem(
                    policy.place(*key, "mask"),
                    f"{table.full_name}.{column.name} is no date: month leaves no values of it",
                )


def _unmasked_tags(policy: Policy, tables: list[GoldTable]) -> Iterator[Problem]:
    for table in tables:
        for column in table.columns.values():
            tags = frozenset(column.tags)
            if tags and not any(
                mask_names(rule, table.full_name, column.name, tags) for rule in policy.masks
            ):
                yield Problem(
                    policy.place("masks"),
                    f"{table.full_name}.{column.name} is tagged {_hashed(column.tags)}, "
                    "and no mask says what that means",
                )


def _idle_roles(policy: Policy) -> Iterator[Problem]:
    used = {name for rule in (*policy.rows, *policy.masks) for name in rule.roles}
    used |= {name for rule in (*policy.rows, *policy.masks) for name in rule.except_roles}
    for name, role in policy.roles.items():
        if not role.grants and name not in used:
            yield Problem(
                policy.place("roles", name), f"the role {name} grants nothing and no rule names it"
            )


def _roles(policy: Policy, key: tuple[str, int], rule: RowRule | MaskRule) -> Iterator[Problem]:
    for kind, names in (("roles", rule.roles), ("except_roles", rule.except_roles)):
        for name in names:
            if name not in policy.roles:
                yield Problem(policy.place(*key, kind), f"there is no role {name}")
    if rule.roles and set(rule.roles) <= set(rule.except_roles):
        yield Problem(policy.place(*key), "nobody matches it: each of its roles is excepted")


def _tables(
    policy: Policy, key: tuple[str | int, ...], patterns: list[str], tables: list[GoldTable]
) -> Iterator[Problem]:
    for i, pattern in enumerate(patterns):
        if pattern != "*" and not any(matches(t.full_name, [pattern]) for t in tables):
            yield Problem(policy.place(*key, i), f"no Gold model is named {pattern}")


def _columns(
    policy: Policy, key: tuple[str | int, ...], patterns: list[str], tables: list[GoldTable]
) -> Iterator[Problem]:
    for i, pattern in enumerate(patterns):
        if pattern != "*" and not any(matches(c, [pattern]) for t in tables for c in t.columns):
            yield Problem(policy.place(*key, i), f"none of these tables has a column {pattern}")


def _try_filter(policy: Policy, rule: RowRule, table: GoldTable) -> str:
    """Return why a filter does not fit a table's types; empty if it does."""
    import duckdb  # noqa: PLC0415

    columns = ", ".join(
        f'cast(null as {c.type}) as "{c.name}"'  # both are the model's own
        for c in table.columns.values()
    )
    values: dict[str, object] = {}
    for name in rule.parsed.attributes:
        attribute = policy.attributes.get(name)
        value: str | int = 1 if attribute and attribute.type == "integer" else "1"
        is_list = name == "roles" or (attribute is not None and attribute.multiple)
        values[name] = [value] if is_list else value
    with duckdb.connect(":memory:", config={"enable_external_access": "false"}) as duck:
        try:
            duck.execute(
                f"select coalesce((\n{rule.filter}\n), false) from (select {columns}) t",  # noqa: S608
                values,
            ).fetchall()
        except duckdb.Error as error:
            return str(error).strip().splitlines()[0]
    return ""


def _hashed(tags: list[str]) -> str:
    return " ".join(f"#{tag}" for tag in tags)
