"""Models of a stream: a run reads up to one point, a view shows the tail after it."""

import pytest

from tests.lake_project import LakeProject

pytestmark = pytest.mark.timeout(900)

COLUMNS = "_ab_cdc_updated_at, _ab_cdc_deleted_at, _lavra_sequence, order_id, amount"
COMMENTS = "column_descriptions (order_id = 'Number.', amount = 'Value.')"
MODELS = {
    "bronze/changes.sql": """
MODEL (
  name bronze_flow.orders, kind VIEW, description 'Changes.', grain _lavra_sequence,
  audits (unique_values(columns := (_lavra_sequence)))
);
SELECT
  order_id::BIGINT AS order_id, /* Number. */
  amount::BIGINT AS amount, /* Value. */
  _ab_cdc_deleted_at::TIMESTAMPTZ AS _ab_cdc_deleted_at, /* When it was deleted. */
  _lavra_sequence::BIGINT AS _lavra_sequence /* Order. */
FROM @STREAM(flow, orders, order_id::BIGINT, amount::BIGINT) AS changes
""",
    "bronze/tail.sql": """
MODEL (
  name bronze_flow.tail, kind VIEW, description 'Newer changes.', grain _lavra_sequence,
  audits (unique_values(columns := (_lavra_sequence)))
);
SELECT
  order_id::BIGINT AS order_id, /* Number. */
  amount::BIGINT AS amount, /* Value. */
  _ab_cdc_deleted_at::TIMESTAMPTZ AS _ab_cdc_deleted_at, /* When it was deleted. */
  _lavra_sequence::BIGINT AS _lavra_sequence /* Order. */
FROM @STREAM_TAIL(flow, orders, order_id::BIGINT, amount::BIGINT) AS changes
""",
    "silver/settled.sql": f"""
MODEL (
  name silver_flow.orders, kind FULL, description 'Present.', grain order_id, {COMMENTS},
  audits (unique_values(columns := (order_id)))
);
SELECT order_id::BIGINT AS order_id, amount::BIGINT AS amount
FROM @CURRENT_ROWS(bronze_flow.orders, order_id) AS present
""",
    "silver/live.sql": f"""
MODEL (
  name silver_flow.live, kind VIEW, description 'Present.', grain order_id, {COMMENTS},
  audits (unique_values(columns := (order_id)))
);
WITH newest AS (
  SELECT order_id, amount, _ab_cdc_deleted_at AS deleted_at FROM bronze_flow.tail
  QUALIFY ROW_NUMBER() OVER (PARTITION BY order_id ORDER BY _lavra_sequence DESC) = 1
), untouched AS (
  SELECT settled.order_id, settled.amount FROM silver_flow.orders AS settled
  LEFT JOIN newest ON settled.order_id = newest.order_id
  WHERE newest.order_id IS NULL
), united AS (
  SELECT order_id, amount FROM untouched
  UNION ALL
  SELECT order_id, amount FROM newest WHERE deleted_at IS NULL
)
SELECT order_id::BIGINT AS order_id, amount::BIGINT AS amount FROM united
""",
    "silver/seen.sql": """
MODEL (
  name silver_flow.seen, kind INCREMENTAL_BY_TIME_RANGE (time_column changed_at),
  description 'Changes by day.', grain sequence, audits (unique_values(columns := (sequence)))
);
SELECT
  _lavra_sequence::BIGINT AS sequence, /* Order. */
  (_ab_cdc_updated_at AT TIME ZONE 'UTC')::TIMESTAMP AS changed_at /* When. */
FROM @STREAM(flow, orders, order_id::BIGINT, amount::BIGINT) AS changes
WHERE (_ab_cdc_updated_at AT TIME ZONE 'UTC')::TIMESTAMP BETWEEN @start_ts AND @end_ts
""",
    "gold/settled.sql": f"""
MODEL (
  name gold_flow.orders, kind FULL, description 'Present.', grain order_id, {COMMENTS},
  audits (unique_values(columns := (order_id)))
);
SELECT order_id::BIGINT AS order_id, amount::BIGINT AS amount FROM silver_flow.orders
""",
    "gold/live.sql": f"""
MODEL (
  name gold_flow.live, kind VIEW, description 'Present.', grain order_id, {COMMENTS},
  audits (unique_values(columns := (order_id)))
);
SELECT order_id::BIGINT AS order_id, amount::BIGINT AS amount FROM silver_flow.live
""",
}


def commit(
    lake: LakeProject, *changes: tuple[int, int | None, int | None], days_ago: int = 0
) -> None:
    """Land changes (sequence, order_id, amount; no amount: deleted) as the worker does."""
    rows = ", ".join(
        f"('', now(), 1, 1, now() - to_days({days_ago}), {'now()' if amount is None else 'null'}, "
        f"{sequence}, {order_id or 'null'}, {amount or 'null'})"
        for sequence, order_id, amount in changes
    )
    names = "_airbyte_raw_id, _airbyte_extracted_at, _airbyte_generation_id, _ab_cdc_lsn"
    lake.write(
        "create schema if not exists landing_flow;"
        "create table if not exists landing_flow._position (sequence bigint);"
        "create table if not exists landing_flow.orders (order_id bigint, amount bigint, "
        "_airbyte_raw_id varchar, _airbyte_extracted_at timestamptz, "
        "_airbyte_generation_id bigint, _ab_cdc_lsn bigint, _ab_cdc_updated_at timestamptz, "
        "_ab_cdc_deleted_at timestamptz, _lavra_sequence bigint); begin;"
        f"insert into landing_flow.orders ({names}, {COLUMNS}) values {rows};"
        "delete from landing_flow._position;"
        f"insert into landing_flow._position values ({changes[-1][0]}); commit"
    )


def test_a_run_reads_up_to_one_point_and_what_lands_later_makes_it_due(lake: LakeProject) -> None:
    for path, text in MODELS.items():
        (lake.models / "models" / path).write_text(text.lstrip())
    lake.plan()
    assert lake.served("gold_flow.orders") == []
    assert "Nothing to run" in lake.run()

    commit(lake, (1, 1, 10), (2, 2, 20), (3, 1, 11), (4, 3, 30), (5, 3, None))
    assert "Released: prod" in lake.run()
    assert lake.served("gold_flow.orders") == [(1, 11), (2, 20)]
    assert lake.query("from bronze_flow.tail") == []

    # The views of the run do not move while the stream goes on: what comes later is the tail.
    commit(lake, (6, 2, 21), (7, 4, 40))
    assert lake.query("select max(_lavra_sequence) from bronze_flow.orders") == [(5,)]
    assert lake.query("select _lavra_sequence from bronze_flow.tail order by 1") == [(6,), (7,)]
    assert "Released: prod" in lake.run()
    assert lake.served("gold_flow.orders") == [(1, 11), (2, 21), (4, 40)]
    assert lake.query("from bronze_flow.tail") == []
    assert "Nothing to run" in lake.run()

    # A change of a day that is done, which waited for a lake that was away.
    commit(lake, (8, 2, 22), days_ago=3)
    assert "Released: prod" in lake.run()
    assert lake.served("gold_flow.orders") == [(1, 11), (2, 22), (4, 40)]
    seen = "select sequence from silver_flow.seen order by 1"
    assert lake.query(seen) == [(n,) for n in range(1, 9)]

    # Batch and live agree: with late, corrected and deleted rows in the tail, a restatement from
    # Bronze on changes no number.
    live = "from gold_flow.live order by all"
    commit(lake, (9, 1, 12), (10, 4, None), (11, 5, 50), days_ago=3)
    commit(lake, (12, 5, 51), (13, 2, None), (14, 2, 23))
    now = [(1, 12), (2, 23), (5, 51)]
    assert lake.served("gold_flow.orders") == [(1, 11), (2, 22), (4, 40)]
    assert lake.query(live) == now
    lake.plan(restate_models=["bronze_flow.orders"])
    assert lake.query(live) == now
    assert lake.served("gold_flow.orders") == now
