MODEL (
  name silver_aviation.work_orders,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Work orders, as they are at the source now.',
  depends_on (silver_aviation.aircraft, silver_aviation.stations),
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
    )),
    accepted_values("column" := status, is_in := ('open', 'in_progress', 'deferred', 'closed')),
    accepted_values(
      "column" := kind,
      is_in := ('a_check', 'b_check', 'c_check', 'd_check', 'unscheduled')
    ),
    refers_to("column" := aircraft_id, target := silver_aviation.aircraft, key := aircraft_id),
    refers_to("column" := station_code, target := silver_aviation.stations, key := station_code)
  )
);

WITH present AS (
  SELECT
    *
  FROM @CURRENT_ROWS(bronze_aviation.work_orders, work_order_id)
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
    @UTC(updated_at) AS updated_at
  FROM present
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
FROM conformed
