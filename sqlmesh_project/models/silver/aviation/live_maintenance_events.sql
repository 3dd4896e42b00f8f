MODEL (
  name silver_aviation.live_maintenance_events,
  kind VIEW,
  description 'Maintenance events, right to the last change that landed: those of the last run, and what changed since.',
  grain event_id,
  audits (
    not_null(
      columns := (
        event_id,
        work_order_id,
        aircraft_id,
        station_code,
        technician_id,
        kind,
        ata_chapter,
        description,
        man_hours,
        occurred_at,
        updated_at
      )
    ),
    unique_values(columns := (
      event_id
    ))
  )
);

WITH settled AS (
  SELECT
    *
  FROM silver_aviation.maintenance_events
), tail AS (
  SELECT
    *
  FROM bronze_aviation.maintenance_event_tail
), emptied AS (
  SELECT
    COALESCE(MAX(_lavra_sequence), -1) AS emptied_at
  FROM tail
  WHERE
    event_id IS NULL
), untouched AS (
  SELECT
    settled.*
  FROM settled
  CROSS JOIN emptied
  LEFT JOIN tail
    ON settled.event_id = tail.event_id
  WHERE
    tail._lavra_sequence IS NULL AND emptied.emptied_at = -1
), changed AS (
  SELECT
    event_id,
    work_order_id,
    aircraft_id,
    station_code,
    technician_id,
    component_id,
    kind,
    ata_chapter,
    description,
    man_hours,
    @UTC(occurred_at) AS occurred_at,
    @UTC(updated_at) AS updated_at
  FROM tail
  CROSS JOIN emptied
  WHERE
    NOT event_id IS NULL
    AND _ab_cdc_deleted_at IS NULL
    AND _lavra_sequence > emptied.emptied_at
), united AS (
  SELECT
    event_id,
    work_order_id,
    aircraft_id,
    station_code,
    technician_id,
    component_id,
    kind,
    ata_chapter,
    description,
    man_hours,
    occurred_at,
    updated_at
  FROM untouched
  UNION ALL
  SELECT
    event_id,
    work_order_id,
    aircraft_id,
    station_code,
    technician_id,
    component_id,
    kind,
    ata_chapter,
    description,
    man_hours,
    occurred_at,
    updated_at
  FROM changed
)
SELECT
  event_id::BIGINT AS event_id, /* The event */
  work_order_id::BIGINT AS work_order_id, /* Work order that it belongs to */
  aircraft_id::BIGINT AS aircraft_id, /* Aircraft that was worked on */
  station_code::TEXT AS station_code, /* Station where it happened */
  technician_id::BIGINT AS technician_id, /* Technician who signed */
  component_id::BIGINT AS component_id, /* Component that was fitted, of a replacement; else NULL */
  kind::TEXT AS kind, /* defect, inspection, rectification, replacement or deferral */
  ata_chapter::BIGINT AS ata_chapter, /* ATA 100 chapter of the system */
  description::TEXT AS description, /* What was done or found */
  man_hours::DECIMAL(6, 2) AS man_hours, /* Hours of work */
  occurred_at::TIMESTAMP AS occurred_at, /* When it happened, UTC */
  updated_at::TIMESTAMP AS updated_at /* When the row last changed, UTC */
FROM united
