MODEL (
  name bronze_aviation.maintenance_event_tail,
  kind VIEW,
  description 'Maintenance events: the changes that landed since the last run, the newest of each key; a deletion without a key says that the table was emptied.',
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
    maintenance_events,
    event_id::BIGINT,
    work_order_id::BIGINT,
    aircraft_id::BIGINT,
    station_code::TEXT,
    technician_id::BIGINT,
    component_id::BIGINT,
    kind::TEXT,
    ata_chapter::BIGINT,
    description::TEXT,
    man_hours::DECIMAL(6, 2),
    occurred_at::TIMESTAMPTZ,
    updated_at::TIMESTAMPTZ
  )
), ranked AS (
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY event_id ORDER BY _lavra_sequence DESC) AS recency
  FROM changes
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
  occurred_at::TIMESTAMPTZ AS occurred_at, /* When it happened */
  updated_at::TIMESTAMPTZ AS updated_at, /* When the row last changed */
  _ab_cdc_updated_at::TIMESTAMPTZ AS _ab_cdc_updated_at, /* When the change was committed at the source */
  _ab_cdc_deleted_at::TIMESTAMPTZ AS _ab_cdc_deleted_at, /* The same, of a deletion; else NULL */
  _lavra_sequence::BIGINT AS _lavra_sequence /* The order of all changes of the stream */
FROM ranked
WHERE
  recency = 1
