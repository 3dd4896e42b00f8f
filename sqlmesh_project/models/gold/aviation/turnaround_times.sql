MODEL (
  name gold_aviation.turnaround_times,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'How long work orders took, by the month in which they were closed, their kind and station.',
  grain (closed_month, kind, station_code),
  audits (
    not_null(
      columns := (
        closed_month,
        kind,
        station_code,
        order_count,
        total_hours,
        average_hours,
        longest_hours
      )
    ),
    unique_combination_of_columns(columns := (closed_month, kind, station_code)),
    same_total(
      mine := SUM(order_count),
      theirs := COUNT(closed_at),
      source := gold_aviation.fct_work_orders
    )
  )
);

WITH orders AS (
  SELECT
    *,
    DATE_TRUNC('MONTH', closed_on) AS closed_month
  FROM gold_aviation.fct_work_orders
  WHERE
    NOT closed_at IS NULL
), months AS (
  SELECT
    closed_month,
    kind,
    station_code,
    COUNT(*) AS order_count,
    SUM(turnaround_hours) AS total_hours,
    ROUND(AVG(turnaround_hours), 2) AS average_hours,
    MAX(turnaround_hours) AS longest_hours
  FROM orders
  GROUP BY
    closed_month,
    kind,
    station_code
)
SELECT
  closed_month::DATE AS closed_month, /* First day of the month */
  kind::TEXT AS kind, /* a_check, b_check, c_check, d_check or unscheduled */
  station_code::TEXT AS station_code, /* Station where the work was done */
  order_count::BIGINT AS order_count, /* Work orders that were closed */
  total_hours::DECIMAL(18, 2) AS total_hours, /* Hours from opening to closing, of all of them */
  average_hours::DECIMAL(12, 2) AS average_hours, /* The same, on average */
  longest_hours::DECIMAL(12, 2) AS longest_hours /* The same, of the slowest */
FROM months
