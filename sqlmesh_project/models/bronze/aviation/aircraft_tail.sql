MODEL (
  name bronze_aviation.aircraft_tail,
  kind VIEW,
  description 'Aircraft of the fleet: the changes that landed since the last run, the newest of each key; a deletion without a key says that the table was emptied.',
  grain _lavra_sequence,
  audits (
    not_null(columns := (_ab_cdc_updated_at, _lavra_sequence)),
    unique_values(columns := (
      _lavra_sequence
    ))
  )
);

WITH changes AS (
  SELECT
    *
  FROM @STREAM_TAIL(
    aviation,
    aircraft,
    aircraft_id::BIGINT,
    tail_number::TEXT,
    manufacturer::TEXT,
    model::TEXT,
    year_built::BIGINT,
    base_station::TEXT,
    status::TEXT,
    flight_hours::DECIMAL(10, 1),
    flight_cycles::BIGINT,
    a_check_due::DECIMAL(10, 1),
    b_check_due::DECIMAL(10, 1),
    c_check_due::DECIMAL(10, 1),
    d_check_due::DECIMAL(10, 1),
    updated_at::TIMESTAMPTZ
  )
), ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY aircraft_id ORDER BY _lavra_sequence DESC) AS recency
  FROM changes
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
  updated_at::TIMESTAMPTZ AS updated_at, /* When the row last changed */
  _ab_cdc_updated_at::TIMESTAMPTZ AS _ab_cdc_updated_at, /* When the change was committed at the source */
  _ab_cdc_deleted_at::TIMESTAMPTZ AS _ab_cdc_deleted_at, /* The same, of a deletion; else NULL */
  _lavra_sequence::BIGINT AS _lavra_sequence /* The order of all changes of the stream */
FROM ranked
WHERE
  recency = 1
