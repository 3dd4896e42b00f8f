MODEL (
  name silver_aviation.maintenance_event_deltas,
  kind VIEW,
  description 'What the changes since the last run add to sums over maintenance events (sign 1) and take from them (sign -1). After the table was emptied, everything settled is taken away.',
  grain (event_id, sign),
  audits (
    not_null(columns := (event_id, sign, kind, occurred_at, man_hours)),
    unique_combination_of_columns(columns := (event_id, sign))
  )
);

WITH settled AS (
  SELECT
    *
  FROM silver_aviation.maintenance_events
), tail AS (
  SELECT
    *
  FROM bronze_aviation.maintenance_event_tail
), emptied AS (
  SELECT
    COALESCE(MAX(_lavra_sequence), -1) AS emptied_at
  FROM tail
  WHERE
    event_id IS NULL
), taken AS (
  SELECT
    settled.event_id,
    -1 AS sign,
    settled.kind,
    settled.occurred_at,
    settled.man_hours
  FROM settled
  CROSS JOIN emptied
  LEFT JOIN tail
    ON settled.event_id = tail.event_id
  WHERE
    NOT tail._lavra_sequence IS NULL OR emptied.emptied_at > -1
), added AS (
  SELECT
    event_id,
    1 AS sign,
    kind,
    @UTC(occurred_at) AS occurred_at,
    man_hours
  FROM tail
  CROSS JOIN emptied
  WHERE
    NOT event_id IS NULL
    AND _ab_cdc_deleted_at IS NULL
    AND _lavra_sequence > emptied.emptied_at
), united AS (
  SELECT
    event_id,
    sign,
    kind,
    occurred_at,
    man_hours
  FROM taken
  UNION ALL
  SELECT
    event_id,
    sign,
    kind,
    occurred_at,
    man_hours
  FROM added
)
SELECT
  event_id::BIGINT AS event_id, /* The event */
  sign::BIGINT AS sign, /* 1: it counts from now on as told here; -1: it no longer does */
  kind::TEXT AS kind, /* defect, inspection, rectification, replacement or deferral */
  occurred_at::TIMESTAMP AS occurred_at, /* When it happened, UTC */
  man_hours::DECIMAL(6, 2) AS man_hours /* Hours of work */
FROM united
