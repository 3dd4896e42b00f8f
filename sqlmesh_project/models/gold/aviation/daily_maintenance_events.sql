MODEL (
  name gold_aviation.daily_maintenance_events,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Maintenance events of each business day by type, aircraft and station.',
  grain (event_date, kind, tail_number, station_code),
  audits (
    not_null(
      columns := (event_date, kind, tail_number, model, station_code, event_count, man_hours)
    ),
    unique_combination_of_columns(columns := (event_date, kind, tail_number, station_code)),
    same_total(
      mine := SUM(event_count),
      theirs := COUNT(*),
      source := gold_aviation.fct_maintenance_events
    ),
    same_total(
      mine := SUM(man_hours),
      theirs := SUM(man_hours),
      source := gold_aviation.fct_maintenance_events
    )
  )
);

WITH events AS (
  SELECT
    *
  FROM gold_aviation.fct_maintenance_events
), days AS (
  SELECT
    event_date,
    kind,
    tail_number,
    model,
    station_code,
    COUNT(*) AS event_count,
    SUM(man_hours) AS man_hours
  FROM events
  GROUP BY
    event_date,
    kind,
    tail_number,
    model,
    station_code
)
SELECT
  event_date::DATE AS event_date, /* The business day */
  kind::TEXT AS kind, /* defect, inspection, rectification, replacement or deferral */
  tail_number::TEXT AS tail_number, /* Registration mark of the aircraft */
  model::TEXT AS model, /* Type of the aircraft */
  station_code::TEXT AS station_code, /* Station where they happened */
  event_count::BIGINT AS event_count, /* Events */
  man_hours::DECIMAL(18, 2) AS man_hours /* Hours of work */
FROM days
