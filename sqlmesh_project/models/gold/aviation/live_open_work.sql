MODEL (
  name gold_aviation.live_open_work,
  kind VIEW,
  description 'Work orders that are not closed, by age. Now is the moment of the last change of a work order or an aircraft that landed.',
  grain work_order_id,
  audits (
    not_null(
      columns := (
        work_order_id,
        kind,
        status,
        opened_at,
        tail_number,
        station_code,
        age_hours,
        age_band
      )
    ),
    unique_values(columns := (
      work_order_id
    ))
  )
);

WITH orders AS (
  SELECT
    *
  FROM silver_aviation.live_work_orders
), aircraft AS (
  SELECT
    aircraft_id,
    tail_number,
    updated_at
  FROM silver_aviation.live_aircraft
), moments AS (
  SELECT
    updated_at
  FROM orders
  UNION ALL
  SELECT
    updated_at
  FROM aircraft
), clock AS (
  SELECT
    MAX(updated_at) AS as_of
  FROM moments
), aged AS (
  SELECT
    orders.*,
    aircraft.tail_number,
    clock.as_of,
    DATE_DIFF('MINUTE', orders.opened_at, clock.as_of) / 60.0 AS age_hours
  FROM orders
  CROSS JOIN clock
  LEFT JOIN aircraft
    ON orders.aircraft_id = aircraft.aircraft_id
  WHERE
    orders.status <> 'closed'
), banded AS (
  SELECT
    *,
    CASE
      WHEN age_hours < 24
      THEN '1 below a day'
      WHEN age_hours < 72
      THEN '2 one to three days'
      WHEN age_hours < 240
      THEN '3 three to ten days'
      ELSE '4 over ten days'
    END AS age_band
  FROM aged
)
SELECT
  work_order_id::BIGINT AS work_order_id, /* The work order */
  kind::TEXT AS kind, /* a_check, b_check, c_check, d_check or unscheduled */
  status::TEXT AS status, /* open, in_progress or deferred */
  opened_at::TIMESTAMP AS opened_at, /* When it was opened, UTC */
  tail_number::TEXT AS tail_number, /* Registration mark of the aircraft */
  station_code::TEXT AS station_code, /* Station where the work is done */
  age_hours::DECIMAL(12, 2) AS age_hours, /* Hours since it was opened */
  age_band::TEXT AS age_band, /* The same in four bands, in order */
  as_of::TIMESTAMP AS as_of /* The moment that counts as now, UTC */
FROM banded
