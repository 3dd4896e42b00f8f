"""`lavra release`: lists, shows, restores, and says what blocks."""

import json

import pytest
from typer.testing import CliRunner

from lavra.catalog import Catalog
from lavra.cli.main import build_app
from lavra.errors import ReleaseError
from lavra.releases.rule import Blocked, record_blocked
from lavra.releases.store import insert_release
from tests.lavra.releases.test_store import a_table


@pytest.fixture
def releases(catalog: Catalog, project, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    monkeypatch.chdir(project)
    with catalog.connect() as connection:
        connection.execute("create schema ducklake")
        connection.execute("create table ducklake.ducklake_snapshot as select 2 as snapshot_id")
        return [
            insert_release(
                connection, environment="prod", snapshot_id=s, cause="run", tables=[a_table()]
            )
            for s in (1, 2, 3)
        ]


def call(*arguments: str) -> str:
    result = CliRunner().invoke(build_app(), ["release", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def failure(*arguments: str) -> str:
    with pytest.raises(ReleaseError) as caught:
        CliRunner().invoke(build_app(), ["release", *arguments], catch_exceptions=False)
    return str(caught.value)


def test_list_marks_the_current_release(releases: list[int]) -> None:
    listed = json.loads(call("list", "--json"))
    assert [(r["id"], r["snapshot"], r["current"]) for r in listed] == [
        (releases[2], 3, True),
        (releases[1], 2, False),
        (releases[0], 1, False),
    ]
    assert listed[0]["data_through"].startswith("2026-03-01")
    assert "snapshot" in call("list")
    assert json.loads(call("list", "--environment", "dev", "--json")) == []


def test_list_says_what_blocks(catalog: Catalog, releases: list[int], capfd) -> None:
    assert releases
    with catalog.connect() as connection:
        record_blocked(connection, "prod", [Blocked("gold_shop.daily", "an audit failed", "Run.")])
    result = CliRunner().invoke(build_app(), ["release", "list"])
    assert "gold_shop.daily: an audit failed" in result.output + capfd.readouterr().err


def test_show_tells_of_the_current_release_unless_another_is_named(releases: list[int]) -> None:
    assert json.loads(call("show", "--json"))["snapshot_id"] == 3
    assert json.loads(call("show", str(releases[0]), "--json"))["snapshot_id"] == 1
    assert "gold_shop.daily" in call("show")
    assert "no release" in failure("show", "--environment", "dev")
    assert "release list" in failure("show", "999")


def test_rollback_adds_a_release_that_shows_the_earlier_snapshot(releases: list[int]) -> None:
    restored = json.loads(call("rollback", str(releases[1]), "--json"))
    assert (restored["snapshot_id"], restored["cause"]) == (2, "rollback")
    assert restored["restored_release_id"] == releases[1]
    assert [t["table_name"] for t in restored["tables"]] == ["daily"]
    listed = json.loads(call("list", "--json"))
    assert (listed[0]["snapshot"], listed[0]["current"]) == (2, True)
    assert listed[0]["cause"] == f"rollback to {releases[1]}"


def test_rollback_refuses_what_cannot_be_shown(releases: list[int]) -> None:
    assert "expired" in failure("rollback", str(releases[0]))
    assert "of environment prod" in failure("rollback", str(releases[1]), "-e", "dev")
    assert "shows the snapshot" in failure("rollback", str(releases[2]))
    assert "no release 999" in failure("rollback", "999")
