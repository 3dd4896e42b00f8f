MODEL (
  name gold_aviation.fct_work_orders,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Work orders, one row each, with their aircraft and how long they took.',
  grain work_order_id,
  audits (
    not_null(
      columns := (
        work_order_id,
        kind,
        status,
        opened_at,
        tail_number,
        model,
        station_code,
        event_count,
        man_hours
      )
    ),
    unique_values(columns := (
      work_order_id
    )),
    at_least("column" := turnaround_hours, minimum := 0),
    same_total(mine := COUNT(*), theirs := COUNT(*), source := silver_aviation.work_orders),
    same_total(
      mine := SUM(event_count),
      theirs := COUNT(*),
      source := silver_aviation.maintenance_events
    )
  )
);

WITH orders AS (
  SELECT
    *
  FROM silver_aviation.work_orders
), aircraft AS (
  SELECT
    aircraft_id,
    tail_number,
    model
  FROM silver_aviation.aircraft
), events AS (
  SELECT
    work_order_id,
    man_hours
  FROM silver_aviation.maintenance_events
), efforts AS (
  SELECT
    work_order_id,
    COUNT(*) AS event_count,
    SUM(man_hours) AS man_hours
  FROM events
  GROUP BY
    work_order_id
), joined AS (
  SELECT
    orders.*,
    @BUSINESS_DATE(orders.closed_at) AS closed_on,
    DATE_DIFF('MINUTE', orders.opened_at, orders.closed_at) / 60.0 AS turnaround_hours,
    aircraft.tail_number,
    aircraft.model,
    COALESCE(efforts.event_count, 0) AS event_count,
    COALESCE(efforts.man_hours, 0) AS man_hours
  FROM orders
  LEFT JOIN aircraft
    ON orders.aircraft_id = aircraft.aircraft_id
  LEFT JOIN efforts
    ON orders.work_order_id = efforts.work_order_id
)
SELECT
  work_order_id::BIGINT AS work_order_id, /* The work order */
  kind::TEXT AS kind, /* a_check, b_check, c_check, d_check or unscheduled */
  status::TEXT AS status, /* open, in_progress, deferred or closed */
  opened_at::TIMESTAMP AS opened_at, /* When it was opened, UTC */
  closed_at::TIMESTAMP AS closed_at, /* When it was closed, UTC; NULL before */
  closed_on::DATE AS closed_on, /* The business day on which it was closed; NULL before */
  turnaround_hours::DECIMAL(12, 2) AS turnaround_hours, /* Hours from opening to closing; NULL while it is not closed */
  tail_number::TEXT AS tail_number, /* Registration mark of the aircraft */
  model::TEXT AS model, /* Type of the aircraft */
  station_code::TEXT AS station_code, /* Station where the work is done */
  event_count::BIGINT AS event_count, /* Events recorded for it */
  man_hours::DECIMAL(18, 2) AS man_hours /* Hours of work so far */
FROM joined
