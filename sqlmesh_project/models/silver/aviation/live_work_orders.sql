MODEL (
  name silver_aviation.live_work_orders,
  kind VIEW,
  description 'Work orders, right to the last change that landed: those of the last run, and what changed since.',
  grain work_order_id,
  audits (
    not_null(
      columns := (
        work_order_id,
        aircraft_id,
        station_code,
        kind,
        status,
        opened_at,
        task_count,
        updated_at
      )
    ),
    unique_values(columns := (
      work_order_id
    ))
  )
);

WITH settled AS (
  SELECT
    *
  FROM silver_aviation.work_orders
), tail AS (
  SELECT
    *
  FROM bronze_aviation.work_order_tail
), emptied AS (
  SELECT
    COALESCE(MAX(_lavra_sequence), -1) AS emptied_at
  FROM tail
  WHERE
    work_order_id IS NULL
), untouched AS (
  SELECT
    settled.*
  FROM settled
  CROSS JOIN emptied
  LEFT JOIN tail
    ON settled.work_order_id = tail.work_order_id
  WHERE
    tail._lavra_sequence IS NULL AND emptied.emptied_at = -1
), changed AS (
  SELECT
    work_order_id,
    aircraft_id,
    station_code,
    kind,
    status,
    @UTC(opened_at) AS opened_at,
    @UTC(closed_at) AS closed_at,
    tasks AS task_count,
    @UTC(updated_at) AS updated_at
  FROM tail
  CROSS JOIN emptied
  WHERE
    NOT work_order_id IS NULL
    AND _ab_cdc_deleted_at IS NULL
    AND _lavra_sequence > emptied.emptied_at
), united AS (
  SELECT
    work_order_id,
    aircraft_id,
    station_code,
    kind,
    status,
    opened_at,
    closed_at,
    task_count,
    updated_at
  FROM untouched
  UNION ALL
  SELECT
    work_order_id,
    aircraft_id,
    station_code,
    kind,
    status,
    opened_at,
    closed_at,
    task_count,
    updated_at
  FROM changed
)
SELECT
  work_order_id::BIGINT AS work_order_id, /* The work order */
  aircraft_id::BIGINT AS aircraft_id, /* Aircraft that is worked on */
  station_code::TEXT AS station_code, /* Station where the work is done */
  kind::TEXT AS kind, /* a_check, b_check, c_check, d_check or unscheduled */
  status::TEXT AS status, /* open, in_progress, deferred or closed */
  opened_at::TIMESTAMP AS opened_at, /* When it was opened, UTC */
  closed_at::TIMESTAMP AS closed_at, /* When it was closed, UTC; NULL before */
  task_count::BIGINT AS task_count, /* Events that it needs before it can be closed */
  updated_at::TIMESTAMP AS updated_at /* When the row last changed, UTC */
FROM united
