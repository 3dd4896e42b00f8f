"""`lavra keys` and `lavra access log`: keys shown once, ended at once, and all of it on record."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lavra.access.log import Entry, insert_entries
from lavra.catalog import Catalog
from lavra.cli.main import build_app
from lavra.errors import AccessError


@pytest.fixture(autouse=True)
def here(catalog: Catalog, project: Path, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    monkeypatch.chdir(project)
    return catalog


def call(*arguments: str) -> str:
    result = CliRunner().invoke(build_app(), list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def told(*arguments: str) -> Any:
    return json.loads(call(*arguments, "--json"))


def failure(*arguments: str) -> str:
    with pytest.raises(AccessError) as caught:
        CliRunner().invoke(build_app(), list(arguments), catch_exceptions=False)
    return str(caught.value)


def test_a_key_is_shown_once_and_kept_nowhere(here: Catalog) -> None:
    made = told("keys", "create", "reports", "--role", "analyst", "-e", "prod", "--expires", "12h")
    listed = told("keys", "list")
    assert [(k["name"], k["roles"], k["environments"], k["state"]) for k in listed] == [
        ("reports", ["analyst"], ["prod"], "active")
    ]
    secret = made["key"]
    with here.connect() as connection:
        tables = connection.execute(
            "select tablename from pg_tables where schemaname = 'lavra'"
        ).fetchall()
        held = [
            connection.execute(f"select * from lavra.{table}".encode()).fetchall()
            for (table,) in tables
        ]
    assert secret not in str(held)
    assert secret not in call("keys", "list") + call("access", "log") + json.dumps(listed)


def test_a_rotated_key_works_beside_the_new_one_until_its_overlap_ends() -> None:
    first = told("keys", "create", "reports", "--role", "analyst", "--expires", "never")
    second = told("keys", "rotate", "reports", "--overlap", "1h")
    assert second["key"] != first["key"]
    assert (second["name"], second["roles"]) == ("reports", ["analyst"])
    by_id = {key["id"]: key for key in told("keys", "list")}
    assert set(by_id) == {first["id"], second["id"]}
    ends = dt.datetime.fromisoformat(by_id[first["id"]]["expires_at"])
    assert dt.timedelta(0) < ends - dt.datetime.now(dt.UTC) <= dt.timedelta(hours=1)
    assert "An overlap must end" in failure("keys", "rotate", second["id"], "--overlap", "never")


def test_a_revoked_key_is_listed_only_when_asked() -> None:
    for name in ("reports", "other"):
        call("keys", "create", name)
    assert "already" in failure("keys", "create", "reports")
    call("keys", "rotate", "reports")
    assert {key["name"] for key in told("keys", "revoke", "reports")} == {"reports"}
    assert [key["name"] for key in told("keys", "list")] == ["other"]
    states = sorted((key["name"], key["state"]) for key in told("keys", "list", "--all"))
    assert states == [("other", "active"), ("reports", "revoked"), ("reports", "revoked")]
    assert "nobody" in failure("keys", "revoke", "nobody")


def test_the_record_is_shown_newest_first_by_who_when_and_what(here: Catalog) -> None:
    call("keys", "create", "reports")
    now = dt.datetime.now(dt.UTC)
    with here.connect() as connection:
        insert_entries(
            connection,
            [
                Entry(event="query", outcome="finished", at=now - dt.timedelta(hours=3),
                      caller="ana", kind="key", sql="select 1 as old"),
                Entry(event="refusal", outcome="refused", code="unauthenticated", at=now,
                      client="10.0.0.9", route="POST /v1/sql"),
            ],
        )  # fmt: skip
    events = [entry["event"] for entry in told("access", "log")]
    assert events == ["refusal", "key", "query"]
    assert [e["event"] for e in told("access", "log", "--since", "1h")] == ["refusal", "key"]
    assert [e["sql"] for e in told("access", "log", "--user", "ana")] == ["select 1 as old"]
    assert [e["code"] for e in told("access", "log", "--refused")] == ["unauthenticated"]
    assert len(told("access", "log", "-n", "1")) == 1
    shown = call("access", "log").split()
    assert {"10.0.0.9", "refusal", "key:ana"} <= set(shown)


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "create", "x", "--expires", "soon"),
        ("access", "log", "--since", "yesterday"),
    ],
)
def test_what_is_no_time_is_named(arguments: tuple[str, ...]) -> None:
    assert arguments[-1] in failure(*arguments)
