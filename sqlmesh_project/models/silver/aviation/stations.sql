MODEL (
  name silver_aviation.stations,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Stations where maintenance is done, as they are at the source now.',
  grain station_code,
  audits (
    not_null(columns := (station_code, name, latitude, longitude, time_zone)),
    unique_values(columns := (
      station_code
    ))
  )
);

WITH present AS (
  SELECT
    *
  FROM @CURRENT_ROWS(bronze_aviation.stations, station_code)
), conformed AS (
  SELECT
    station_code,
    name,
    latitude,
    longitude,
    time_zone
  FROM present
)
SELECT
  station_code::TEXT AS station_code, /* The station, by its IATA or FAA code */
  name::TEXT AS name, /* Name of the airport */
  latitude::DOUBLE AS latitude, /* Degrees north */
  longitude::DOUBLE AS longitude, /* Degrees east */
  time_zone::TEXT AS time_zone /* Time zone, by its IANA name */
FROM conformed
