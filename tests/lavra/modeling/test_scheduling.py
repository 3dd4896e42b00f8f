"""A run follows what has landed: at once, completely, and not more often than that."""

from tests.lake_project import LakeProject


def test_a_plan_releases(lake: LakeProject) -> None:
    release = lake.released()
    assert [t.table_name for t in release.tables] == [
        "names",
        "orders",
        "ranks",
        "recent",
        "totals",
    ]
    assert {t.table_name: t.row_count for t in release.tables} == {
        "names": 2, "orders": 2, "ranks": 2, "recent": 2, "totals": 2,
    }  # fmt: skip


def test_what_has_just_landed_is_released_by_the_next_run(lake: LakeProject) -> None:
    lake.land([(3, 1, 30)])
    assert "Released: prod" in lake.run()
    assert [row[0] for row in lake.served("gold_shop.orders")] == [1, 2, 3]
    assert lake.served("gold_shop.totals")[0][:2] == (1, 2)


def test_a_run_with_nothing_new_does_nothing_and_says_so(lake: LakeProject) -> None:
    before = lake.sql("select max(snapshot_id) from ducklake.ducklake_snapshot")
    assert "Nothing to run" in lake.run()
    assert lake.sql("select max(snapshot_id) from ducklake.ducklake_snapshot") == before
    assert len(lake.releases()) == 1
