MODEL (
  name bronze_aviation.deferrals,
  kind VIEW,
  description 'Deferred defects: every change that was committed at the source, up to where the last run read. Of a deletion only the key is known; a deletion without a key says that the table was emptied.',
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
    deferrals,
    deferral_id::BIGINT,
    work_order_id::BIGINT,
    aircraft_id::BIGINT,
    ata_chapter::BIGINT,
    mel_category::TEXT,
    deferred_at::TIMESTAMPTZ,
    rectify_by::TIMESTAMPTZ,
    rectified_at::TIMESTAMPTZ,
    updated_at::TIMESTAMPTZ
  )
)
SELECT
  deferral_id::BIGINT AS deferral_id, /* The deferral */
  work_order_id::BIGINT AS work_order_id, /* Work order that waits */
  aircraft_id::BIGINT AS aircraft_id, /* Aircraft that flies with the defect */
  ata_chapter::BIGINT AS ata_chapter, /* ATA 100 chapter of the system */
  mel_category::TEXT AS mel_category, /* Category of the minimum equipment list, which says how long it may stay: A, B, C or D */
  deferred_at::TIMESTAMPTZ AS deferred_at, /* When it was deferred */
  rectify_by::TIMESTAMPTZ AS rectify_by, /* Until when it must be rectified */
  rectified_at::TIMESTAMPTZ AS rectified_at, /* When it was rectified; NULL before */
  updated_at::TIMESTAMPTZ AS updated_at, /* When the row last changed */
  _ab_cdc_updated_at::TIMESTAMPTZ AS _ab_cdc_updated_at, /* When the change was committed at the source */
  _ab_cdc_deleted_at::TIMESTAMPTZ AS _ab_cdc_deleted_at, /* The same, of a deletion; else NULL */
  _lavra_sequence::BIGINT AS _lavra_sequence /* The order of all changes of the stream */
FROM changes
