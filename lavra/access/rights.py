"""What one caller may see of one release: the policy applied to its tables.

How rules meet (docs/access.md says it for people): grants add up, restrictions all hold. A
caller sees what any of its roles grants; every row rule that holds for it must keep a row; of the
masks on a column the strictest holds. Whatever cannot be applied hides the table.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from lavra.access.caller import Caller
from lavra.access.policy import (
    STRICTEST_FIRST,
    Attribute,
    GivenTo,
    Grant,
    MaskKind,
    MaskRule,
    Policy,
    Quota,
)
from lavra.access.record import is_system

Value = str | int | list[str] | list[int]


@dataclass(frozen=True)
class TableShape:
    """A table as rules see it: its name (``schema.table``) and its columns with their tags."""

    name: str
    columns: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class RowFilter:
    """A filter with the values of the caller's attributes that it names."""

    sql: str
    values: tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class TableRights:
    """What a caller sees of one table.

    Attributes:
        columns: The visible columns in order, with their mask; None is in the clear.
        filters: All must be true for a row to be visible.
        is_empty: No row is visible: an attribute that a filter names has no value.
    """

    name: str
    columns: tuple[tuple[str, MaskKind | None], ...]
    filters: tuple[RowFilter, ...] = ()
    is_empty: bool = False

    @property
    def masks(self) -> dict[str, MaskKind]:
        """The masked columns that are visible."""
        return {name: mask for name, mask in self.columns if mask}

    @property
    def digest(self) -> str:
        """What its visible rows depend on, besides the table itself."""
        text = json.dumps(
            [self.name, self.columns, [(f.sql, f.values) for f in self.filters], self.is_empty]
        )
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Rights:
    """What a caller sees of a release. ``digest`` is equal for callers who see the same."""

    tables: Mapping[str, TableRights] = field(default_factory=dict)
    is_everything: bool = False

    @cached_property
    def digest(self) -> str:
        """Empty for everything; else a hash of what is visible."""
        if self.is_everything:
            return ""
        text = "".join(f"{name}:{self.tables[name].digest}\n" for name in sorted(self.tables))
        return hashlib.sha256(text.encode()).hexdigest()[:40]


EVERYTHING = Rights(is_everything=True)


def roles_of(policy: Policy, caller: Caller) -> frozenset[str]:
    """Return the roles that the policy gives a caller."""
    return frozenset(
        name for name, role in policy.roles.items() if _has(role.given_to, name, caller)
    )


def environments_allow(
    policy: Policy, roles: frozenset[str], caller: Caller, environment: str
) -> bool:
    """Whether anything is granted to a caller in an environment."""
    return caller.may_use(environment) and any(_grants(policy, roles, environment))


def rights_of(
    policy: Policy, caller: Caller, environment: str, tables: Iterable[TableShape]
) -> Rights:
    """Return what a caller sees of some tables of an environment."""
    roles = roles_of(policy, caller)
    if not caller.may_use(environment):
        return Rights()
    grants = list(_grants(policy, roles, environment))
    values = attributes_of(policy, caller, roles)
    found = {}
    for table in tables:
        rights = _table_rights(policy, roles, grants, values, table)
        if rights:
            found[table.name] = rights
    return Rights(found)


def quota_of(policy: Policy, roles: frozenset[str]) -> Quota:
    """Return the quota of a caller with these roles: of each number the lowest."""
    quotas = [policy.roles[name].quota for name in roles]

    def lowest(name: str) -> Any:
        return min((v for q in quotas if (v := getattr(q, name)) is not None), default=None)

    return Quota(**{name: lowest(name) for name in Quota.model_fields})


def attributes_of(policy: Policy, caller: Caller, roles: frozenset[str]) -> dict[str, Value]:
    """Return the attributes that a caller has a value of."""
    values: dict[str, Value] = {"user": caller.name, "roles": sorted(roles)}
    for name, attribute in policy.attributes.items():
        value = _value(attribute, caller)
        if value is not None:
            values[name] = value
    return values


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name matches one of some patterns, upper and lower case being the same."""
    return any(fnmatchcase(name.casefold(), pattern.casefold()) for pattern in patterns)


def grant_names(grant: Grant, table: str) -> bool:
    """Whether a grant names a table; the service's own only by their schema's name."""
    patterns: list[str] = list(grant.tables)
    if is_system(table):
        patterns = [pattern for pattern in patterns if is_system(pattern)]
    return matches(table, patterns) and not matches(table, grant.except_tables)


def mask_names(rule: MaskRule, table: str, column: str, tags: frozenset[str]) -> bool:
    """Whether a mask rule names a column."""
    return matches(table, rule.tables) and (
        bool(tags.intersection(rule.tags)) or matches(column, rule.columns)
    )


def stricter(mask: MaskKind | None, other: MaskKind | None) -> MaskKind | None:
    """Return the stricter of two masks."""
    return next((kind for kind in STRICTEST_FIRST if kind in {mask, other}), None)


def with_tags(table: TableShape, more: Mapping[str, frozenset[str]]) -> TableShape:
    """Return a table whose columns have more tags (by lower-case name), besides their own."""
    columns = {
        name: tags | more.get(name.casefold(), frozenset()) for name, tags in table.columns.items()
    }
    return replace(table, columns=columns)


def _has(given: GivenTo, name: str, caller: Caller) -> bool:
    if caller.kind == "loopback":
        return name in caller.roles
    return (
        given.everyone
        or name in caller.roles
        or bool(caller.roles.intersection(given.roles))
        or any(fnmatchcase(caller.identity, pattern) for pattern in given.users)
        or any(_claims(caller.claims.get(claim), wanted) for claim, wanted in given.claims.items())
    )


def _claims(claim: Any, wanted: Any) -> bool:
    has = claim if isinstance(claim, list | tuple) else [claim]
    wants = wanted if isinstance(wanted, list) else [wanted]
    return any(type(one) is type(other) and one == other for one in has for other in wants)


def _grants(policy: Policy, roles: frozenset[str], environment: str) -> Iterator[Grant]:
    for name in sorted(roles):
        for grant in policy.roles[name].grants:
            if any(fnmatchcase(environment, pattern) for pattern in grant.environments):
                yield grant


def _table_rights(
    policy: Policy,
    roles: frozenset[str],
    grants: list[Grant],
    values: Mapping[str, Value],
    table: TableShape,
) -> TableRights | None:
    columns = tuple(_visible_columns(policy, roles, grants, table))
    if not columns:
        return None
    present = {column.casefold() for column in table.columns}
    filters: dict[str, RowFilter] = {}
    is_empty = False
    for rule in policy.rows:
        if not rule.holds_for(roles) or not matches(table.name, rule.tables):
            continue
        parsed = rule.parsed
        if not parsed.columns <= present:
            return None
        is_empty = is_empty or not parsed.attributes <= values.keys()
        bound = tuple((name, values[name]) for name in sorted(parsed.attributes & values.keys()))
        filters[rule.filter] = RowFilter(rule.filter, bound)
    if is_empty:
        return TableRights(table.name, columns, is_empty=True)
    return TableRights(table.name, columns, tuple(filters[sql] for sql in sorted(filters)))


def _visible_columns(
    policy: Policy, roles: frozenset[str], grants: list[Grant], table: TableShape
) -> Iterator[tuple[str, MaskKind | None]]:
    granted = [grant for grant in grants if grant_names(grant, table.name)]
    masks = [rule for rule in policy.masks if rule.holds_for(roles)]
    for column, tags in table.columns.items():
        if not any(
            matches(column, grant.columns) and not matches(column, grant.except_columns)
            for grant in granted
        ):
            continue
        mask: MaskKind | None = None
        for rule in masks:
            if mask_names(rule, table.name, column, tags):
                mask = stricter(mask, rule.mask)
        if mask != "hidden":
            yield column, mask


def _value(attribute: Attribute, caller: Caller) -> Value | None:
    raw: Any = attribute.users.get(caller.identity)
    if raw is None and attribute.claim:
        raw = caller.claims.get(attribute.claim)
    items = raw if isinstance(raw, list | tuple) else [] if raw is None else [raw]
    kind = int if attribute.type == "integer" else str
    typed: list[Any] = [item for item in items if type(item) is kind]
    if len(typed) != len(items) or not typed:
        return None  # nothing, or something of another kind: no value is safer than a guess
    if attribute.multiple:
        return sorted(set(typed))
    return typed[0] if len(typed) == 1 else None
