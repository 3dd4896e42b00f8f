"""kill -9 at each step of an evaluation: nothing is released, and the next run repairs it."""

from collections.abc import Iterator

import pytest

from tests.lake_project import LakeProject, SqlmeshProcess

RESTATE = (
    "plan", "--restate-model", "gold_shop.orders", "--auto-apply", "--no-prompts", "--skip-tests",
)  # fmt: skip


@pytest.fixture
def sqlmesh(lake: LakeProject) -> Iterator[SqlmeshProcess]:
    process = lake.sqlmesh()
    yield process
    process.close()


@pytest.mark.parametrize(
    ("step", "rows_left"),
    [
        ("delete", 0),  # between DELETE and INSERT
        ("insert", 2),  # between INSERT and audits
        ("audit", 2),  # between audits and SQLMesh's record of the interval
        ("interval", 2),  # between that record and the ledger's
    ],
)
def test_a_restatement_killed_midway_is_not_released_and_the_next_run_repairs_it(
    lake: LakeProject, sqlmesh: SqlmeshProcess, step: str, rows_left: int
) -> None:
    physical = lake.physical("gold_shop.orders")
    sqlmesh.start(*RESTATE, kill_at=step, table="gold_shop__orders")
    sqlmesh.wait_until_killed()
    assert lake.query(f"select count(*) from {physical}") == [(rows_left,)]
    assert [row[0] for row in lake.served("gold_shop.orders")] == [1, 2]

    # A success of another model releases nothing, and the killed holder's lock blocks nobody.
    lake.run(select_models=["gold_shop.names"], ignore_cron=True)
    assert len(lake.releases()) == 1
    assert "interrupted" in lake.blocked()["gold_shop.orders"]

    assert "Released: prod is at release 2" in lake.run()
    assert [row[0] for row in lake.served("gold_shop.orders")] == [1, 2]
    assert lake.blocked() == {}


@pytest.mark.parametrize("repair", ["run", "plan"])
def test_a_run_killed_before_it_releases_is_released_by_the_next_with_nothing_to_do(
    lake: LakeProject, sqlmesh: SqlmeshProcess, repair: str
) -> None:
    lake.land([(3, 1, 30)])
    sqlmesh.start("run", kill_at="evaluated")
    sqlmesh.wait_until_killed()
    assert len(lake.releases()) == 1
    assert "Released: prod is at release 2" in (lake.run() if repair == "run" else lake.plan())
    assert [row[0] for row in lake.served("gold_shop.orders")] == [1, 2, 3]


def test_a_plan_killed_while_it_promotes_is_finished_by_the_next_plan(
    lake: LakeProject, sqlmesh: SqlmeshProcess
) -> None:
    lake.edit("models/gold/totals.sql", "SUM(amount)", "(2 * SUM(amount))")
    sqlmesh.start("plan", "--auto-apply", "--no-prompts", "--skip-tests", kill_at="promote")
    sqlmesh.wait_until_killed()
    assert len(lake.releases()) == 1
    assert [int(row[2]) for row in lake.served("gold_shop.totals")] == [10, 20]
    assert "Released: prod is at release 2" in lake.plan()
    assert [int(row[2]) for row in lake.served("gold_shop.totals")] == [20, 40]
