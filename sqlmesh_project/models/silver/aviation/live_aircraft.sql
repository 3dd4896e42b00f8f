MODEL (
  name silver_aviation.live_aircraft,
  kind VIEW,
  description 'Aircraft of the fleet, right to the last change that landed: those of the last run, and what changed since.',
  grain aircraft_id,
  audits (
    not_null(
      columns := (
        aircraft_id,
        tail_number,
        manufacturer,
        model,
        base_station,
        status,
        flight_hours,
        flight_cycles,
        a_check_due,
        b_check_due,
        c_check_due,
        d_check_due,
        updated_at
      )
    ),
    unique_values(columns := (
      aircraft_id
    ))
  )
);

WITH settled AS (
  SELECT
    *
  FROM silver_aviation.aircraft
), tail AS (
  SELECT
    *
  FROM bronze_aviation.aircraft_tail
), emptied AS (
  SELECT
    COALESCE(MAX(_lavra_sequence), -1) AS emptied_at
  FROM tail
  WHERE
    aircraft_id IS NULL
), untouched AS (
  SELECT
    settled.*
  FROM settled
  CROSS JOIN emptied
  LEFT JOIN tail
    ON settled.aircraft_id = tail.aircraft_id
  WHERE
    tail._lavra_sequence IS NULL AND emptied.emptied_at = -1
), changed AS (
  SELECT
    aircraft_id,
    tail_number,
    manufacturer,
    model,
    year_built,
    base_station,
    status,
    flight_hours,
    flight_cycles,
    a_check_due,
    b_check_due,
    c_check_due,
    d_check_due,
    @UTC(updated_at) AS updated_at
  FROM tail
  CROSS JOIN emptied
  WHERE
    NOT aircraft_id IS NULL
    AND _ab_cdc_deleted_at IS NULL
    AND _lavra_sequence > emptied.emptied_at
), united AS (
  SELECT
    aircraft_id,
    tail_number,
    manufacturer,
    model,
    year_built,
    base_station,
    status,
    flight_hours,
    flight_cycles,
    a_check_due,
    b_check_due,
    c_check_due,
    d_check_due,
    updated_at
  FROM untouched
  UNION ALL
  SELECT
    aircraft_id,
    tail_number,
    manufacturer,
    model,
    year_built,
    base_station,
    status,
    flight_hours,
    flight_cycles,
    a_check_due,
    b_check_due,
    c_check_due,
    d_check_due,
    updated_at
  FROM changed
)
SELECT
  aircraft_id::BIGINT AS aircraft_id, /* The aircraft */
  tail_number::TEXT AS tail_number, /* Registration mark */
  manufacturer::TEXT AS manufacturer, /* Who built it */
  model::TEXT AS model, /* Type */
  year_built::BIGINT AS year_built, /* Year it was built; NULL where the registry does not say */
  base_station::TEXT AS base_station, /* Station where it is based */
  status::TEXT AS status, /* active, in_check or grounded */
  flight_hours::DECIMAL(10, 1) AS flight_hours, /* Hours flown so far */
  flight_cycles::BIGINT AS flight_cycles, /* Flights so far */
  a_check_due::DECIMAL(10, 1) AS a_check_due, /* Flight hours at which the next A check is due */
  b_check_due::DECIMAL(10, 1) AS b_check_due, /* Flight hours at which the next B check is due */
  c_check_due::DECIMAL(10, 1) AS c_check_due, /* Flight hours at which the next C check is due */
  d_check_due::DECIMAL(10, 1) AS d_check_due, /* Flight hours at which the next D check is due */
  updated_at::TIMESTAMP AS updated_at /* When the row last changed, UTC */
FROM united
