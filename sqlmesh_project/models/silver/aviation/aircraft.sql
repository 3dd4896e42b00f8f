MODEL (
  name silver_aviation.aircraft,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Aircraft of the fleet, as they are at the source now.',
  depends_on (
    silver_aviation.stations
  ),
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
    )),
    accepted_values("column" := status, is_in := ('active', 'in_check', 'grounded')),
    refers_to("column" := base_station, target := silver_aviation.stations, key := station_code)
  )
);

WITH present AS (
  SELECT
    *
  FROM @CURRENT_ROWS(bronze_aviation.aircraft, aircraft_id)
), conformed AS (
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
  FROM present
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
FROM conformed
