MODEL (
  name bronze_aviation.stations,
  kind VIEW,
  description 'Stations where maintenance is done: every change that was committed at the source, up to where the last run read. Of a deletion only the key is known; a deletion without a key says that the table was emptied.',
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
  FROM @STREAM(
    aviation,
    stations,
    station_code::TEXT,
    name::TEXT,
    latitude::DOUBLE,
    longitude::DOUBLE,
    time_zone::TEXT
  )
)
SELECT
  station_code::TEXT AS station_code, /* The station, by its IATA or FAA code */
  name::TEXT AS name, /* Name of the airport */
  latitude::DOUBLE AS latitude, /* Degrees north */
  longitude::DOUBLE AS longitude, /* Degrees east */
  time_zone::TEXT AS time_zone, /* Time zone, by its IANA name */
  _ab_cdc_updated_at::TIMESTAMPTZ AS _ab_cdc_updated_at, /* When the change was committed at the source */
  _ab_cdc_deleted_at::TIMESTAMPTZ AS _ab_cdc_deleted_at, /* The same, of a deletion; else NULL */
  _lavra_sequence::BIGINT AS _lavra_sequence /* The order of all changes of the stream */
FROM changes
