MODEL (
  name gold_aviation.live_fleet,
  kind VIEW,
  description 'The aircraft as they are now, and how far off their next check is.',
  grain aircraft_id,
  audits (
    not_null(
      columns := (
        aircraft_id,
        tail_number,
        model,
        base_station,
        status,
        flight_hours,
        next_check,
        hours_to_check
      )
    ),
    unique_values(columns := (
      aircraft_id
    ))
  )
);

WITH aircraft AS (
  SELECT
    *
  FROM silver_aviation.live_aircraft
), nearest AS (
  SELECT
    *,
    LEAST(a_check_due, b_check_due, c_check_due, d_check_due) AS next_due
  FROM aircraft
), named AS (
  SELECT
    *,
    CASE
      WHEN d_check_due = next_due
      THEN 'd_check'
      WHEN c_check_due = next_due
      THEN 'c_check'
      WHEN b_check_due = next_due
      THEN 'b_check'
      ELSE 'a_check'
    END AS next_check,
    next_due - flight_hours AS hours_to_check
  FROM nearest
)
SELECT
  aircraft_id::BIGINT AS aircraft_id, /* The aircraft */
  tail_number::TEXT AS tail_number, /* Registration mark */
  model::TEXT AS model, /* Type */
  base_station::TEXT AS base_station, /* Station where it is based */
  status::TEXT AS status, /* active, in_check or grounded */
  flight_hours::DECIMAL(10, 1) AS flight_hours, /* Hours flown so far */
  next_check::TEXT AS next_check, /* The check that is due next: a_check, b_check, c_check or d_check */
  hours_to_check::DECIMAL(10, 1) AS hours_to_check, /* Flight hours until then */
  updated_at::TIMESTAMP AS updated_at /* When it last changed, UTC */
FROM named
