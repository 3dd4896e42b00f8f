"""Whether anybody sees less of a table than somebody else, whoever asks."""

from __future__ import annotations

from collections.abc import Iterator

from lavra.access.policy import Policy
from lavra.access.rights import TableShape, grant_names, mask_names, matches


def restriction_of(policy: Policy | None, table: TableShape, environment: str) -> str | None:
    """Return why a table may not leave the service's care; None if no rule is about it.

    Roles do not count: what is handed on to an engine that does not know the policy must hold
    nothing that any rule keeps from anybody. Nor may what nobody is granted, or what there is no
    policy for.
    """
    if policy is None:
        return "the lake has no access policy, so nothing is open"
    return next(_restrictions(policy, table, environment), None)


def _restrictions(policy: Policy, table: TableShape, environment: str) -> Iterator[str]:
    for i, rule in enumerate(policy.rows):
        if matches(table.name, rule.tables):
            yield f"{policy.place('rows', i)} filters its rows"
    for i, mask in enumerate(policy.masks):
        for column, tags in table.columns.items():
            if mask_names(mask, table.name, column, tags):
                yield f"{policy.place('masks', i)} masks {column}"
    grants = [
        (policy.place("roles", name, "grants", i), grant)
        for name, role in policy.roles.items()
        for i, grant in enumerate(role.grants)
        if matches(environment, grant.environments) and grant_names(grant, table.name)
    ]
    if not grants:
        yield "no role may read it"
    for place, grant in grants:
        for column in table.columns:
            if not matches(column, grant.columns) or matches(column, grant.except_columns):
                yield f"{place} keeps back {column}"
