MODEL (
  name gold_aviation.fct_maintenance_events,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Maintenance events, one row each, with their aircraft and station.',
  partitioned_by (event_month),
  grain event_id,
  audits (
    not_null(
      columns := (
        event_id,
        occurred_at,
        event_date,
        event_month,
        kind,
        ata_chapter,
        man_hours,
        tail_number,
        model,
        station_code
      )
    ),
    unique_values(columns := (
      event_id
    )),
    same_total(mine := COUNT(*), theirs := COUNT(*), source := silver_aviation.maintenance_events)
  )
);

WITH events AS (
  SELECT
    *
  FROM silver_aviation.maintenance_events
), aircraft AS (
  SELECT
    aircraft_id,
    tail_number,
    manufacturer,
    model
  FROM silver_aviation.aircraft
), stations AS (
  SELECT
    station_code,
    name AS station_name
  FROM silver_aviation.stations
), joined AS (
  SELECT
    events.*,
    @BUSINESS_DATE(events.occurred_at) AS event_date,
    aircraft.tail_number,
    aircraft.manufacturer,
    aircraft.model,
    stations.station_name
  FROM events
  LEFT JOIN aircraft
    ON events.aircraft_id = aircraft.aircraft_id
  LEFT JOIN stations
    ON events.station_code = stations.station_code
), dated AS (
  SELECT
    *,
    DATE_TRUNC('MONTH', event_date) AS event_month
  FROM joined
)
SELECT
  event_id::BIGINT AS event_id, /* The event */
  occurred_at::TIMESTAMP AS occurred_at, /* When it happened, UTC */
  event_date::DATE AS event_date, /* The business day */
  event_month::DATE AS event_month, /* First day of its month */
  kind::TEXT AS kind, /* defect, inspection, rectification, replacement or deferral */
  ata_chapter::BIGINT AS ata_chapter, /* ATA 100 chapter of the system */
  description::TEXT AS description, /* What was done or found */
  man_hours::DECIMAL(6, 2) AS man_hours, /* Hours of work */
  work_order_id::BIGINT AS work_order_id, /* Work order that it belongs to */
  technician_id::BIGINT AS technician_id, /* Technician who signed */
  tail_number::TEXT AS tail_number, /* Registration mark of the aircraft */
  manufacturer::TEXT AS manufacturer, /* Who built the aircraft */
  model::TEXT AS model, /* Type of the aircraft */
  station_code::TEXT AS station_code, /* Station where it happened */
  station_name::TEXT AS station_name /* Name of the station */
FROM dated
