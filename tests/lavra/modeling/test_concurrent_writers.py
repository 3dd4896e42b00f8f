"""Two plans and a run at once: every table is right afterwards, thanks to the lock alone."""

from collections.abc import Iterator

import pytest

from tests.lake_project import LakeProject, SqlmeshProcess

RESTATE = (
    "plan", "--restate-model", "gold_shop.orders", "--auto-apply", "--no-prompts", "--skip-tests",
)  # fmt: skip


@pytest.fixture
def writers(lake: LakeProject) -> Iterator[list[SqlmeshProcess]]:
    processes = [lake.sqlmesh() for _ in range(3)]
    yield processes
    for process in processes:
        process.close()


def write_at_once(
    lake: LakeProject, writers: list[SqlmeshProcess], number: int, *, lock: bool
) -> list[tuple[int, str]]:
    """Land an order, then restate twice and run once, all at the same time.

    The pause between each DELETE and its INSERT widens the gap that the lock has to close.
    """
    lake.land([(number, 1, 10)])
    for writer, command in zip(writers, (RESTATE, RESTATE, ("run",)), strict=True):
        writer.start(*command, pause_s=1.0, lock=lock)
    return [writer.wait() for writer in writers]


def is_right(lake: LakeProject, last: int) -> bool:
    """Whether every Gold table of the lake, as it is now, holds each order once."""
    orders = lake.query(f"select order_id from {lake.physical('gold_shop.orders')} order by 1")
    counts = lake.query(f"select sum(order_count) from {lake.physical('gold_shop.totals')}")
    return orders == [(i,) for i in range(1, last + 1)] and counts == [(last,)]


def check_rounds(lake: LakeProject, writers: list[SqlmeshProcess], rounds: int) -> None:
    waited = 0
    for number in range(3, 3 + rounds):
        results = write_at_once(lake, writers, number, lock=True)
        assert [code for code, _ in results] == [0, 0, 0], results
        waited += sum("Waiting for it to finish" in output for _, output in results)
        assert is_right(lake, number)
        assert lake.served("gold_shop.orders") == lake.query(
            f"from {lake.physical('gold_shop.orders')} order by all"
        )
    assert waited >= rounds  # who waits is told so


def test_two_plans_and_a_run_at_once(lake: LakeProject, writers: list[SqlmeshProcess]) -> None:
    check_rounds(lake, writers, rounds=1)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_two_plans_and_a_run_at_once_ten_times(
    lake: LakeProject, writers: list[SqlmeshProcess]
) -> None:
    check_rounds(lake, writers, rounds=10)


@pytest.mark.soak
def test_without_the_lock_the_same_goes_wrong(
    lake: LakeProject, writers: list[SqlmeshProcess]
) -> None:
    wrong = False
    for number in range(3, 7):
        results = write_at_once(lake, writers, number, lock=False)
        wrong = any(code != 0 for code, _ in results) or not is_right(lake, number)
        if wrong:
            break
    assert wrong
