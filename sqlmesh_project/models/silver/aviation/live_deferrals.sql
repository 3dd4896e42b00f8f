MODEL (
  name silver_aviation.live_deferrals,
  kind VIEW,
  description 'Deferred defects, right to the last change that landed: those of the last run, and what changed since.',
  grain deferral_id,
  audits (
    not_null(
      columns := (
        deferral_id,
        work_order_id,
        aircraft_id,
        ata_chapter,
        mel_category,
        deferred_at,
        rectify_by,
        updated_at
      )
    ),
    unique_values(columns := (
      deferral_id
    ))
  )
);

WITH settled AS (
  SELECT
    *
  FROM silver_aviation.deferrals
), tail AS (
  SELECT
    *
  FROM bronze_aviation.deferral_tail
), emptied AS (
  SELECT
    COALESCE(MAX(_lavra_sequence), -1) AS emptied_at
  FROM tail
  WHERE
    deferral_id IS NULL
), untouched AS (
  SELECT
    settled.*
  FROM settled
  CROSS JOIN emptied
  LEFT JOIN tail
    ON settled.deferral_id = tail.deferral_id
  WHERE
    tail._lavra_sequence IS NULL AND emptied.emptied_at = -1
), changed AS (
  SELECT
    deferral_id,
    work_order_id,
    aircraft_id,
    ata_chapter,
    mel_category,
    @UTC(deferred_at) AS deferred_at,
    @UTC(rectify_by) AS rectify_by,
    @UTC(rectified_at) AS rectified_at,
    @UTC(updated_at) AS updated_at
  FROM tail
  CROSS JOIN emptied
  WHERE
    NOT deferral_id IS NULL
    AND _ab_cdc_deleted_at IS NULL
    AND _lavra_sequence > emptied.emptied_at
), united AS (
  SELECT
    deferral_id,
    work_order_id,
    aircraft_id,
    ata_chapter,
    mel_category,
    deferred_at,
    rectify_by,
    rectified_at,
    updated_at
  FROM untouched
  UNION ALL
  SELECT
    deferral_id,
    work_order_id,
    aircraft_id,
    ata_chapter,
    mel_category,
    deferred_at,
    rectify_by,
    rectified_at,
    updated_at
  FROM changed
)
SELECT
  deferral_id::BIGINT AS deferral_id, /* The deferral */
  work_order_id::BIGINT AS work_order_id, /* Work order that waits */
  aircraft_id::BIGINT AS aircraft_id, /* Aircraft that flies with the defect */
  ata_chapter::BIGINT AS ata_chapter, /* ATA 100 chapter of the system */
  mel_category::TEXT AS mel_category, /* Category of the minimum equipment list, which says how long it may stay: A, B, C or D */
  deferred_at::TIMESTAMP AS deferred_at, /* When it was deferred, UTC */
  rectify_by::TIMESTAMP AS rectify_by, /* Until when it must be rectified, UTC */
  rectified_at::TIMESTAMP AS rectified_at, /* When it was rectified, UTC; NULL before */
  updated_at::TIMESTAMP AS updated_at /* When the row last changed, UTC */
FROM united
