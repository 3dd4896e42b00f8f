MODEL (
  name silver_aviation.maintenance_events,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Maintenance events, as they are at the source now.',
  depends_on (
    silver_aviation.aircraft,
    silver_aviation.stations,
    silver_aviation.technicians,
    silver_aviation.work_orders
  ),
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
    )),
    accepted_values(
      "column" := kind,
      is_in := ('defect', 'inspection', 'rectification', 'replacement', 'deferral')
    ),
    refers_to(
      "column" := work_order_id,
      target := silver_aviation.work_orders,
      key := work_order_id
    ),
    refers_to("column" := aircraft_id, target := silver_aviation.aircraft, key := aircraft_id),
    refers_to("column" := station_code, target := silver_aviation.stations, key := station_code),
    refers_to(
      "column" := technician_id,
      target := silver_aviation.technicians,
      key := technician_id
    )
  )
);

WITH present AS (
  SELECT
    *
  FROM @CURRENT_ROWS(bronze_aviation.maintenance_events, event_id)
), conformed AS (
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
  FROM present
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
FROM conformed
