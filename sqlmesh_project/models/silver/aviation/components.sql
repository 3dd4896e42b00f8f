MODEL (
  name silver_aviation.components,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Components that are or were fitted to an aircraft, as they are at the source now.',
  depends_on (
    silver_aviation.aircraft
  ),
  grain component_id,
  audits (
    not_null(
      columns := (
        aircraft_id,
        ata_chapter,
        part_number,
        serial_number,
        installed_at,
        installed_hours,
        updated_at
      )
    ),
    unique_values(columns := (
      component_id
    )),
    refers_to("column" := aircraft_id, target := silver_aviation.aircraft, key := aircraft_id)
  )
);

WITH present AS (
  SELECT
    *
  FROM @CURRENT_ROWS(bronze_aviation.components, component_id)
), conformed AS (
  SELECT
    component_id,
    aircraft_id,
    ata_chapter,
    part_number,
    serial_number,
    @UTC(installed_at) AS installed_at,
    installed_hours,
    @UTC(removed_at) AS removed_at,
    removed_hours,
    removal_reason,
    @UTC(updated_at) AS updated_at
  FROM present
)
SELECT
  component_id::BIGINT AS component_id, /* The component */
  aircraft_id::BIGINT AS aircraft_id, /* Aircraft that it is or was fitted to */
  ata_chapter::BIGINT AS ata_chapter, /* ATA 100 chapter of the system that it belongs to */
  part_number::TEXT AS part_number, /* Part number */
  serial_number::TEXT AS serial_number, /* Serial number */
  installed_at::TIMESTAMP AS installed_at, /* When it was fitted, UTC */
  installed_hours::DECIMAL(10, 1) AS installed_hours, /* Flight hours of the aircraft then */
  removed_at::TIMESTAMP AS removed_at, /* When it was removed, UTC; NULL while it is fitted */
  removed_hours::DECIMAL(10, 1) AS removed_hours, /* Flight hours of the aircraft then; NULL while it is fitted */
  removal_reason::TEXT AS removal_reason, /* failure or scheduled; NULL while it is fitted */
  updated_at::TIMESTAMP AS updated_at /* When the row last changed, UTC */
FROM conformed
