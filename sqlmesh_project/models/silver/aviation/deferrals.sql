MODEL (
  name silver_aviation.deferrals,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Deferred defects, as they are at the source now.',
  depends_on (silver_aviation.aircraft, silver_aviation.work_orders),
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
    )),
    accepted_values("column" := mel_category, is_in := ('A', 'B', 'C', 'D')),
    refers_to(
      "column" := work_order_id,
      target := silver_aviation.work_orders,
      key := work_order_id
    ),
    refers_to("column" := aircraft_id, target := silver_aviation.aircraft, key := aircraft_id)
  )
);

WITH present AS (
  SELECT
    *
  FROM @CURRENT_ROWS(bronze_aviation.deferrals, deferral_id)
), conformed AS (
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
  FROM present
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
FROM conformed
