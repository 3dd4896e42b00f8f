"""Says why a caller sees what of a table, rule by rule, and what a change of the policy changes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lavra.access.caller import Caller
from lavra.access.policy import FOLDER, STRICTEST_FIRST, Policy, merge
from lavra.access.rights import (
    TableRights,
    TableShape,
    attributes_of,
    grant_names,
    mask_names,
    matches,
    rights_of,
    roles_of,
)
from lavra.errors import AccessError
from lavra.landing.yaml_file import load_yaml


@dataclass(frozen=True)
class Explanation:
    """What one caller sees of one table, and by which lines of the policy."""

    caller: str
    table: str
    environment: str
    roles: list[str]
    attributes: dict[str, Any]
    visible: bool
    granted_by: list[str]
    columns: dict[str, str]
    hidden: list[str]
    filters: list[str] = field(default_factory=list)
    masked_by: dict[str, list[str]] = field(default_factory=dict)
    no_rows: bool = False


def explain(policy: Policy, caller: Caller, environment: str, table: TableShape) -> Explanation:
    """Return what a caller sees of a table and why."""
    roles = roles_of(policy, caller)
    seen = rights_of(policy, caller, environment, [table]).tables.get(table.name)
    granted = [
        policy.place("roles", name, "grants", i)
        for name in sorted(roles)
        for i, grant in enumerate(policy.roles[name].grants)
        if matches(environment, grant.environments) and grant_names(grant, table.name)
    ]
    filters = [
        f"{policy.place('rows', i)}: {rule.filter}"
        for i, rule in enumerate(policy.rows)
        if rule.holds_for(roles) and matches(table.name, rule.tables)
    ]
    masked = {
        column: places
        for column, tags in table.columns.items()
        if (
            places := [
                f"{policy.place('masks', i)}: {rule.mask}"
                for i, rule in enumerate(policy.masks)
                if rule.holds_for(roles) and mask_names(rule, table.name, column, tags)
            ]
        )
    }
    columns: dict[str, str] = {
        name: mask or "in the clear" for name, mask in (seen.columns if seen else ())
    }
    return Explanation(
        caller=caller.identity,
        table=table.name,
        environment=environment,
        roles=sorted(roles),
        attributes=attributes_of(policy, caller, roles),
        visible=seen is not None,
        granted_by=granted,
        columns=columns,
        hidden=[name for name in table.columns if name not in columns],
        filters=filters,
        masked_by=masked,
        no_rows=seen is not None and seen.is_empty,
    )


@dataclass(frozen=True)
class Change:
    """Something that a role gains (or loses, when ``gains`` is false) by a change."""

    role: str
    environment: str
    table: str
    gains: bool
    what: str


def compare(before: Policy, after: Policy, tables: list[TableShape]) -> list[Change]:
    """Return who gains and who loses what, each role by itself.

    Attributes stand for some value each: what is compared are the rules, not the people.
    """
    changes: list[Change] = []
    everybody = sorted(before.roles.keys() | after.roles.keys())
    for role in everybody:
        changes += _membership(role, before, after)
        for environment in _environments(before, after):
            old, new = (_of_role(policy, role, environment, tables) for policy in (before, after))
            for table in tables:
                for gains, what in _differences(old.get(table.name), new.get(table.name)):
                    changes.append(Change(role, environment, table.name, gains, what))
    return changes


def policy_at(project: Path, revision: str, folder: Path) -> Policy:
    """Return the policy of a git revision; its files are put into ``folder``.

    Raises:
        AccessError: git does not know the revision.
        ConfigurationError: the policy was wrong then.
    """
    listed = _git(project, "ls-tree", "--name-only", revision, f"{FOLDER}/").splitlines()
    for name in [name for name in listed if name.endswith(".yaml")]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_git(project, "show", f"{revision}:./{name}"), "utf-8")
    files = sorted((folder / FOLDER).glob("*.yaml"))
    return merge([load_yaml(path) for path in files], folder)


def _git(project: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(project), *words],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    if done.returncode != 0:
        raise AccessError(
            f"git {words[0]} failed: {done.stderr.strip()}",
            remedy="Name a commit, branch or tag of this repository with --base.",
        )
    return done.stdout


def _environments(*policies: Policy) -> list[str]:
    """Return an environment for each pattern of the grants: previews stand for ``*``."""
    patterns = {
        pattern
        for policy in policies
        for role in policy.roles.values()
        for grant in role.grants
        for pattern in grant.environments
    }
    return sorted({pattern.replace("*", "preview") for pattern in patterns} | {"prod"})


def _of_role(
    policy: Policy, role: str, environment: str, tables: list[TableShape]
) -> dict[str, TableRights]:
    if role not in policy.roles:
        return {}
    claims = {
        attribute.claim: 0 if attribute.type == "integer" else f"<{name}>"
        for name, attribute in policy.attributes.items()
        if attribute.claim
    }
    caller = Caller(f"<{role}>", "token", frozenset({role}), claims)
    return dict(rights_of(policy, caller, environment, tables).tables)


def _membership(role: str, before: Policy, after: Policy) -> Iterator[Change]:
    old, new = before.roles.get(role), after.roles.get(role)
    if old is None or new is None:
        what = "the role is new" if old is None else "the role is gone"
        yield Change(role, "*", "*", old is None, what)
        return
    if old.given_to != new.given_to:
        shown = yaml.safe_dump(
            new.given_to.model_dump(exclude_defaults=True), default_flow_style=True
        ).strip()
        wider = set(map(str, old.given_to.model_dump().items())) <= set(
            map(str, new.given_to.model_dump().items())
        )
        yield Change(role, "*", "*", wider, f"the role is given to others: {shown}")


def _differences(old: TableRights | None, new: TableRights | None) -> Iterator[tuple[bool, str]]:
    if old is None or new is None:
        if old is not new:
            yield new is not None, "the table"
        return
    before, after = dict(old.columns), dict(new.columns)
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after:
            yield name in after, f"the column {name}"
        elif before[name] != after[name]:
            strictness = [*STRICTEST_FIRST, None]
            looser = strictness.index(after[name]) > strictness.index(before[name])
            shown = [mask or "in the clear" for mask in (before[name], after[name])]
            yield looser, f"the column {name}: {shown[0]} before, {shown[1]} now"
    rules_before = {rule.sql for rule in old.filters}
    rules_now = {rule.sql for rule in new.filters}
    for sql in sorted(rules_before - rules_now):
        yield True, f"rows that do not satisfy: {sql}"
    for sql in sorted(rules_now - rules_before):
        yield False, f"rows that do not satisfy: {sql}"
    if old.is_empty != new.is_empty:
        yield old.is_empty, "all rows: a filter names an attribute that nobody has"
