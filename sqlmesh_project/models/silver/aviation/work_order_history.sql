MODEL (
  name silver_aviation.work_order_history,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Each state that a work order was in, with when it held (type 2). It begins with the first load; states that lasted no time, within one transaction, are left out.',
  grain (work_order_id, valid_from),
  audits (
    not_null(
      columns := (work_order_id, aircraft_id, station_code, kind, status, valid_from, is_current)
    ),
    unique_combination_of_columns(columns := (work_order_id, valid_from)),
    ends_where_the_next_begins(key := work_order_id),
    same_total(
      mine := COUNT(CASE WHEN is_current THEN 1 END),
      theirs := COUNT(*),
      source := silver_aviation.work_orders
    )
  ),
  depends_on (
    silver_aviation.work_orders
  )
);

WITH changes AS (
  SELECT
    *
  FROM bronze_aviation.work_orders
), emptied AS (
  SELECT
    _lavra_sequence AS emptied_at,
    _ab_cdc_updated_at AS emptied_time
  FROM changes
  WHERE
    work_order_id IS NULL AND NOT _ab_cdc_deleted_at IS NULL
), ended AS (
  SELECT
    changes.work_order_id,
    changes._lavra_sequence,
    MIN(emptied.emptied_time) AS emptied_time
  FROM changes
  JOIN emptied
    ON emptied.emptied_at > changes._lavra_sequence
  GROUP BY
    changes.work_order_id,
    changes._lavra_sequence
), versions AS (
  SELECT
    changes.*,
    LEAD(changes._ab_cdc_updated_at) OVER (PARTITION BY changes.work_order_id ORDER BY changes._lavra_sequence) AS next_time,
    ended.emptied_time
  FROM changes
  LEFT JOIN ended
    ON changes.work_order_id = ended.work_order_id
    AND changes._lavra_sequence = ended._lavra_sequence
  WHERE
    NOT changes.work_order_id IS NULL
), bounded AS (
  SELECT
    *,
    CASE
      WHEN next_time IS NULL
      THEN emptied_time
      WHEN emptied_time IS NULL
      THEN next_time
      ELSE LEAST(next_time, emptied_time)
    END::TIMESTAMPTZ AS ended_at
  FROM versions
  WHERE
    _ab_cdc_deleted_at IS NULL
), conformed AS (
  SELECT
    work_order_id,
    aircraft_id,
    station_code,
    kind,
    status,
    @UTC(opened_at) AS opened_at,
    @UTC(closed_at) AS closed_at,
    tasks AS task_count,
    @UTC(_ab_cdc_updated_at) AS valid_from,
    @UTC(ended_at) AS valid_to,
    ended_at IS NULL AS is_current
  FROM bounded
  WHERE
    ended_at IS NULL OR ended_at > _ab_cdc_updated_at
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
  valid_from::TIMESTAMP AS valid_from, /* When this state began, UTC */
  valid_to::TIMESTAMP AS valid_to, /* When it ended, UTC; NULL of the present one */
  is_current::BOOLEAN AS is_current /* Whether it is the present one */
FROM conformed
