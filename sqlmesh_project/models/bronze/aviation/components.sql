MODEL (
  name bronze_aviation.components,
  kind VIEW,
  description 'Components that are or were fitted to an aircraft: every change that was committed at the source, up to where the last run read. Of a deletion only the key is known; a deletion without a key says that the table was emptied.',
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
    components,
    component_id::BIGINT,
    aircraft_id::BIGINT,
    ata_chapter::BIGINT,
    part_number::TEXT,
    serial_number::TEXT,
    installed_at::TIMESTAMPTZ,
    installed_hours::DECIMAL(10, 1),
    removed_at::TIMESTAMPTZ,
    removed_hours::DECIMAL(10, 1),
    removal_reason::TEXT,
    updated_at::TIMESTAMPTZ
  )
)
SELECT
  component_id::BIGINT AS component_id, /* The component */
  aircraft_id::BIGINT AS aircraft_id, /* Aircraft that it is or was fitted to */
  ata_chapter::BIGINT AS ata_chapter, /* ATA 100 chapter of the system that it belongs to */
  part_number::TEXT AS part_number, /* Part number */
  serial_number::TEXT AS serial_number, /* Serial number */
  installed_at::TIMESTAMPTZ AS installed_at, /* When it was fitted */
  installed_hours::DECIMAL(10, 1) AS installed_hours, /* Flight hours of the aircraft then */
  removed_at::TIMESTAMPTZ AS removed_at, /* When it was removed; NULL while it is fitted */
  removed_hours::DECIMAL(10, 1) AS removed_hours, /* Flight hours of the aircraft then; NULL while it is fitted */
  removal_reason::TEXT AS removal_reason, /* failure or scheduled; NULL while it is fitted */
  updated_at::TIMESTAMPTZ AS updated_at, /* When the row last changed */
  _ab_cdc_updated_at::TIMESTAMPTZ AS _ab_cdc_updated_at, /* When the change was committed at the source */
  _ab_cdc_deleted_at::TIMESTAMPTZ AS _ab_cdc_deleted_at, /* The same, of a deletion; else NULL */
  _lavra_sequence::BIGINT AS _lavra_sequence /* The order of all changes of the stream */
FROM changes
