"""No release ever holds rows that failed an audit or were half written, whatever happened."""

import pytest
from sqlmesh.utils.errors import PlanError

from tests.lake_project import LakeProject


def test_a_failed_audit_keeps_the_old_release_until_it_is_repaired(lake: LakeProject) -> None:
    bad = lake.land([(3, 1, 5000)])  # gold_shop.orders allows 1000
    printed = lake.run()
    assert printed.startswith("(failed)")
    assert "gold_shop.orders: its evaluation of" in printed
    assert len(lake.releases()) == 1
    assert "not_large" in lake.blocked()["gold_shop.orders"]
    # The bad rows are in the table all the same, but readers do not see them.
    physical = lake.physical("gold_shop.orders")
    assert (3,) in lake.query(f"select order_id from {physical}")
    assert [row[0] for row in lake.served("gold_shop.orders")] == [1, 2]

    # A success elsewhere does not release them.
    lake.run(select_models=["gold_shop.names"], ignore_cron=True)
    assert len(lake.releases()) == 1
    assert "gold_shop.orders" in lake.blocked()

    bad.unlink()
    lake.land([(3, 1, 50)])
    assert "Released: prod is at release 2" in lake.run()
    assert lake.blocked() == {}
    assert [(r[0], int(r[2])) for r in lake.served("gold_shop.orders")] == [
        (1, 10),
        (2, 20),
        (3, 50),
    ]


def test_an_audit_that_does_not_block_is_recorded_as_failed(lake: LakeProject) -> None:
    lake.land([(3, 1, 700)])  # gold_shop.orders warns above 500
    assert "Released" in lake.run()
    (orders,) = [t for t in lake.released().tables if t.table_name == "orders"]
    assert {a["name"]: (a["passed"], a["blocking"]) for a in orders.audits} == {
        "not_huge": (False, False),
        "not_large": (True, True),
    }


def test_a_write_behind_sqlmesh_blocks_until_the_table_is_restated(lake: LakeProject) -> None:
    physical = lake.physical("gold_shop.totals")
    lake.write(f"delete from {physical} where customer_id = 1")
    assert "gold_shop.totals" in lake.run()
    assert "not by SQLMesh" in lake.blocked()["gold_shop.totals"]
    assert len(lake.served("gold_shop.totals")) == 2
    assert "Released: prod is at release 2" in lake.plan(restate_models=["gold_shop.totals"])
    assert len(lake.served("gold_shop.totals")) == 2


def test_a_plan_that_fails_leaves_the_release(lake: LakeProject) -> None:
    lake.edit("models/gold/totals.sql", "SUM(amount)", "(SUM(amount) / ('x'::INT))")
    with pytest.raises(PlanError):
        lake.plan(skip_tests=True)
    assert len(lake.releases()) == 1
    assert len(lake.served("gold_shop.totals")) == 2


def test_a_run_of_one_model_alone_does_not_release_it_beside_older_ones(lake: LakeProject) -> None:
    lake.land([(3, 2, 30)])
    lake.run(select_models=["+silver_shop.orders"])
    assert "silver_shop.orders, which it reads" in lake.blocked()["gold_shop.totals"]
    assert "Released" in lake.run()


def test_a_changed_model_is_released_with_its_new_table(lake: LakeProject) -> None:
    before = lake.physical("gold_shop.totals")
    lake.edit("models/gold/totals.sql", "SUM(amount)", "(2 * SUM(amount))")
    assert "Released: prod is at release 2" in lake.plan()
    assert lake.physical("gold_shop.totals") != before
    assert [int(r[2]) for r in lake.served("gold_shop.totals")] == [20, 40]
    assert lake.plan().count("Released") == 0  # nothing changed, so nothing new


def test_a_changed_incremental_model_has_the_rows_of_today(lake: LakeProject) -> None:
    lake.edit("models/gold/orders.sql", "amount::DECIMAL(18, 2)", "(2 * amount)::DECIMAL(18, 2)")
    assert "Released: prod is at release 2" in lake.plan()
    assert [int(row[2]) for row in lake.served("gold_shop.orders")] == [20, 40]


def test_a_column_added_upstream_does_not_block_what_is_left_alone(lake: LakeProject) -> None:
    lake.edit(
        "models/silver/orders.sql",
        "landed_at::TIMESTAMP AS landed_at",
        "landed_at::TIMESTAMP AS landed_at, 1::INT AS extra",
    )
    lake.edit(
        "models/silver/orders.sql", "landed_at = 'When.'", "landed_at = 'When.', extra = '1.'"
    )
    assert "Released: prod is at release 2" in lake.plan()
    lake.land([(3, 1, 30)])
    assert "Released: prod is at release 3" in lake.run()
    assert len(lake.served("gold_shop.orders")) == 3


def test_a_development_environment_has_releases_of_its_own(lake: LakeProject) -> None:
    lake.edit("models/gold/totals.sql", "SUM(amount)", "(3 * SUM(amount))")
    assert "Released: dev" in lake.plan("dev", skip_backfill=False)
    of_dev = lake.released("dev")
    assert {(t.schema_name, t.table_name) for t in of_dev.tables} == {
        (t.schema_name, t.table_name) for t in lake.released().tables
    }
    changed = lake.physical("gold_shop.totals", "dev")
    assert [int(r[2]) for r in lake.query(f"from {changed} order by all")] == [30, 60]
    assert len(lake.releases()) == 1
    # Promoted to production, the same table is released there.
    assert "Released: prod is at release" in lake.plan()
    assert lake.physical("gold_shop.totals") == changed


def test_an_environment_without_its_data_is_not_released(lake: LakeProject) -> None:
    lake.edit("models/gold/totals.sql", "SUM(amount)", "(3 * SUM(amount))")
    lake.plan("dev", skip_backfill=True)
    assert lake.releases("dev") == []
    assert "never been evaluated" in lake.blocked("dev")["gold_shop.totals"]
