"""How rules meet, what lint finds, and what a change of the policy changes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lavra.access.caller import Caller
from lavra.access.explain import compare, explain, policy_at
from lavra.access.lint import lint
from lavra.access.policy import Policy, load_policy
from lavra.access.rights import TableRights, TableShape, quota_of, rights_of
from lavra.access.tags import split_tags
from lavra.dashboards.gold import Column, Gold, GoldTable
from lavra.errors import AccessError, ConfigurationError

PEOPLE = TableShape(
    "gold_shop.people", {"id": frozenset(), "email": frozenset({"pii"}), "state": frozenset()}
)
GOLD = Gold(
    [
        GoldTable(
            "gold_shop",
            "people",
            {
                "id": Column("id", "BIGINT"),
                "email": Column("email", "TEXT", "", ["pii"]),
                "state": Column("state", "TEXT"),
            },
        )
    ]
)
POLICY = """
attributes:
  states: {claim: states, multiple: true}
roles:
  reader:
    grants: [{tables: ["gold_*.*"]}]
    quota: {queries_per_minute: 10, timeout_s: 5}
  local:
    grants: [{tables: [gold_shop.people], columns: [id]}]
    quota: {queries_per_minute: 3}
  support: {given_to: {users: ["superset:sue"], claims: {team: [help, desk]}}}
rows:
  - {tables: ["*"], roles: [local], filter: state in $states}
masks:
  - {tags: [pii], mask: last_four}
  - {columns: [email], mask: hash, except_roles: [support]}
"""


def write(root: Path, text: str) -> Policy:
    (root / "access").mkdir(exist_ok=True)
    (root / "access" / "policy.yaml").write_text(text)
    policy = load_policy(root)
    assert policy is not None
    return policy


def seen(policy: Policy, *roles: str, **claims: object) -> TableRights | None:
    caller = Caller("ana", "token", frozenset(roles), claims)
    return rights_of(policy, caller, "prod", [PEOPLE]).tables.get(PEOPLE.name)


def test_grants_add_up_and_restrictions_all_hold(tmp_path: Path) -> None:
    policy = write(tmp_path, POLICY)
    reader, both = seen(policy, "reader"), seen(policy, "reader", "local", states=["SP"])
    assert reader is not None
    assert both is not None
    assert reader.columns == both.columns == (("id", None), ("email", "hash"), ("state", None))
    assert reader.filters == ()
    assert [rule.values for rule in both.filters] == [(("states", ["SP"]),)]
    exempt = seen(policy, "reader", "support")
    assert exempt is not None
    assert exempt.masks == {"email": "last_four"}
    assert quota_of(policy, frozenset({"reader", "local"})).model_dump() == {
        "queries_per_minute": 3, "bytes_per_hour": None, "concurrency": None, "timeout_s": 5,
    }  # fmt: skip


@pytest.mark.parametrize("states", [None, [], [1], {"a": 1}, True, ["SP", None]])
def test_an_attribute_of_no_use_shows_no_row(tmp_path: Path, states: object) -> None:
    policy = write(tmp_path, POLICY.replace("state in", "state not in"))
    local = seen(policy, "local", states=states)
    assert local is not None
    assert local.is_empty


def test_nothing_is_granted_by_default(tmp_path: Path) -> None:
    policy = write(tmp_path, POLICY)
    assert seen(policy) is None
    assert seen(policy, "support") is None
    assert seen(policy, "Reader") is None
    reader = Caller("ana", "key", frozenset({"reader"}))
    assert rights_of(policy, reader, "dev", [PEOPLE]).tables == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("state in $states", "state in (select 1)"), "rows|subquery"),
        (("state in $states", "state = = 1"), "does not parse"),
        (("state in $states", "true) or (true"), "does not parse"),
        (("state in $states", "now() > '2026-01-01'"), "no function of a row alone"),
        (("mask: hash", "mask: blur"), "policy.yaml"),
        (("grants:", "grantz:"), "there is no such key"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_place(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as raised:
        write(tmp_path, POLICY.replace(*change))
    assert "policy.yaml" in str(raised.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[gold_shop.people]", "[gold_shop.pepole]"), "no Gold model is named gold_shop.pepole"),
        (("columns: [id]", "columns: [idd]"), "has a column idd"),
        (("roles: [local], f", "roles: [locals], f"), "there is no role locals"),
        (("$states", "$regions"), "there is no attribute regions"),
        (("state in", "region in"), "has no column region"),
        (("state in $states", "state + 1 > date '2026-01-01'"), "on gold_shop.people"),
        (("tags: [pii]", "tags: [secret]"), "tagged #secret"),
        (("except_roles: [support]", "roles: [local], except_roles: [local]"), "nobody matches"),
        (("mask: hash", "mask: month"), "is no date"),
    ],
)
def test_lint_names_the_line(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    assert lint(write(tmp_path, POLICY), GOLD) == []
    problems = lint(write(tmp_path, POLICY.replace(*change)), GOLD)
    found = [problem for problem in problems if message in problem.message]
    assert found, problems
    assert all(problem.place.startswith("access/policy.yaml:") for problem in found)


def test_a_tagged_column_without_a_mask_is_found(tmp_path: Path) -> None:
    problems = lint(write(tmp_path, POLICY.split("masks:", maxsplit=1)[0]), GOLD)
    assert [p.message for p in problems if "#pii" in p.message]


def test_explain_names_the_lines(tmp_path: Path) -> None:
    policy = write(tmp_path, POLICY)
    caller = Caller("sue", "superset", frozenset({"local"}), {"states": ["SP"]})
    found = explain(policy, caller, "prod", PEOPLE)
    assert found.roles == ["local", "support"]
    assert found.granted_by == ["access/policy.yaml:9"]
    assert (found.columns, found.hidden) == ({"id": "in the clear"}, ["email", "state"])
    assert found.filters == ["access/policy.yaml:13: state in $states"]


def test_diff_says_who_gains_and_who_loses(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True)

    before = write(tmp_path, POLICY)
    git("init", "-q")
    git("add", "access")
    git("commit", "-qm", "policy")
    after = write(
        tmp_path,
        POLICY.replace("columns: [id]", "columns: [id, state]")
        .replace("except_roles: [support]", "roles: [local]")
        .replace("state in $states", "state in $states and id > 5"),
    )
    kept = policy_at(tmp_path, "HEAD", tmp_path / "base")
    assert kept.digest == before.digest
    changes = {(c.role, c.gains, c.what) for c in compare(kept, after, [PEOPLE])}
    assert changes == {
        ("local", True, "the column state"),
        ("local", True, "rows that do not satisfy: state in $states"),
        ("local", False, "rows that do not satisfy: state in $states and id > 5"),
        ("reader", True, "the column email: hash before, last_four now"),
    }
    with pytest.raises(AccessError):
        policy_at(tmp_path, "no-such-commit", tmp_path / "other")


def test_tags_leave_the_comment() -> None:
    assert split_tags("Where to write #pii.") == ("Where to write.", ["pii"])
    assert split_tags("Item #3 of C#") == ("Item #3 of C#", [])
