MODEL (
  name gold_aviation.live_deferred_defects,
  kind VIEW,
  description 'Defects that are deferred, and how near their limit is. Now is the moment of the last change of a deferral or an aircraft that landed.',
  grain deferral_id,
  audits (
    not_null(
      columns := (
        deferral_id,
        work_order_id,
        tail_number,
        ata_chapter,
        mel_category,
        deferred_at,
        rectify_by,
        hours_left,
        urgency
      )
    ),
    unique_values(columns := (
      deferral_id
    ))
  )
);

WITH deferrals AS (
  SELECT
    *
  FROM silver_aviation.live_deferrals
), aircraft AS (
  SELECT
    aircraft_id,
    tail_number,
    updated_at
  FROM silver_aviation.live_aircraft
), moments AS (
  SELECT
    updated_at
  FROM deferrals
  UNION ALL
  SELECT
    updated_at
  FROM aircraft
), clock AS (
  SELECT
    MAX(updated_at) AS as_of
  FROM moments
), waiting AS (
  SELECT
    deferrals.*,
    aircraft.tail_number,
    clock.as_of,
    DATE_DIFF('MINUTE', clock.as_of, deferrals.rectify_by) / 60.0 AS hours_left
  FROM deferrals
  CROSS JOIN clock
  LEFT JOIN aircraft
    ON deferrals.aircraft_id = aircraft.aircraft_id
  WHERE
    deferrals.rectified_at IS NULL
), judged AS (
  SELECT
    *,
    CASE
      WHEN hours_left < 0
      THEN 'overdue'
      WHEN hours_left < 24
      THEN 'due within a day'
      WHEN hours_left < 72
      THEN 'due within three days'
      ELSE 'later'
    END AS urgency
  FROM waiting
)
SELECT
  deferral_id::BIGINT AS deferral_id, /* The deferral */
  work_order_id::BIGINT AS work_order_id, /* Work order that waits */
  tail_number::TEXT AS tail_number, /* Registration mark of the aircraft */
  ata_chapter::BIGINT AS ata_chapter, /* ATA 100 chapter of the system */
  mel_category::TEXT AS mel_category, /* Category of the minimum equipment list: A, B, C or D */
  deferred_at::TIMESTAMP AS deferred_at, /* When it was deferred, UTC */
  rectify_by::TIMESTAMP AS rectify_by, /* Until when it must be rectified, UTC */
  hours_left::DECIMAL(12, 2) AS hours_left, /* Hours until then; negative when it is overdue */
  urgency::TEXT AS urgency, /* overdue, due within a day, due within three days, or later */
  as_of::TIMESTAMP AS as_of /* The moment that counts as now, UTC */
FROM judged
