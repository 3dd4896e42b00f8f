MODEL (
  name gold_aviation.live_events,
  kind VIEW,
  description 'The latest 500 maintenance events, right to the last change that landed.',
  grain event_id,
  audits (
    not_null(columns := (event_id, occurred_at, kind, tail_number, station_code)),
    unique_values(columns := (
      event_id
    ))
  )
);

WITH events AS (
  SELECT
    *
  FROM silver_aviation.live_maintenance_events
), aircraft AS (
  SELECT
    aircraft_id,
    tail_number
  FROM silver_aviation.live_aircraft
), latest AS (
  SELECT
    *
  FROM events
  ORDER BY
    occurred_at DESC,
    event_id DESC
  LIMIT 500
), joined AS (
  SELECT
    latest.*,
    aircraft.tail_number
  FROM latest
  LEFT JOIN aircraft
    ON latest.aircraft_id = aircraft.aircraft_id
)
SELECT
  event_id::BIGINT AS event_id, /* The event */
  occurred_at::TIMESTAMP AS occurred_at, /* When it happened, UTC */
  kind::TEXT AS kind, /* defect, inspection, rectification, replacement or deferral */
  ata_chapter::BIGINT AS ata_chapter, /* ATA 100 chapter of the system */
  description::TEXT AS description, /* What was done or found */
  man_hours::DECIMAL(6, 2) AS man_hours, /* Hours of work */
  work_order_id::BIGINT AS work_order_id, /* Work order that it belongs to */
  tail_number::TEXT AS tail_number, /* Registration mark of the aircraft */
  station_code::TEXT AS station_code /* Station where it happened */
FROM joined
