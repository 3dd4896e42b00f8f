MODEL (
  name bronze_aviation.technicians,
  kind VIEW,
  description 'Technicians: every change that was committed at the source, up to where the last run read. Of a deletion only the key is known; a deletion without a key says that the table was emptied.',
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
    technicians,
    technician_id::BIGINT,
    name::TEXT,
    licence::TEXT,
    station_code::TEXT,
    active::BOOLEAN,
    updated_at::TIMESTAMPTZ
  )
)
SELECT
  technician_id::BIGINT AS technician_id, /* The technician */
  name::TEXT AS name, /* Full name #pii */
  licence::TEXT AS licence, /* EASA Part-66 category: A, B1, B2 or C */
  station_code::TEXT AS station_code, /* Station where the technician works */
  active::BOOLEAN AS active, /* Whether the technician works still */
  updated_at::TIMESTAMPTZ AS updated_at, /* When the row last changed */
  _ab_cdc_updated_at::TIMESTAMPTZ AS _ab_cdc_updated_at, /* When the change was committed at the source */
  _ab_cdc_deleted_at::TIMESTAMPTZ AS _ab_cdc_deleted_at, /* The same, of a deletion; else NULL */
  _lavra_sequence::BIGINT AS _lavra_sequence /* The order of all changes of the stream */
FROM changes
