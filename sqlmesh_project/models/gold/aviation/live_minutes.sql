MODEL (
  name gold_aviation.live_minutes,
  kind VIEW,
  description 'Maintenance events of each minute by type, right to the last change that landed.',
  grain (event_minute, kind),
  audits (
    not_null(columns := (event_minute, kind, event_count, man_hours)),
    unique_combination_of_columns(columns := (event_minute, kind)),
    at_least("column" := event_count, minimum := 1)
  )
);

WITH settled AS (
  SELECT
    *
  FROM gold_aviation.settled_minutes
), deltas AS (
  SELECT
    *
  FROM silver_aviation.maintenance_event_deltas
), parts AS (
  SELECT
    event_minute,
    kind,
    event_count,
    man_hours
  FROM settled
  UNION ALL
  SELECT
    DATE_TRUNC('MINUTE', occurred_at) AS event_minute,
    kind,
    sign AS event_count,
    sign * man_hours AS man_hours
  FROM deltas
), minutes AS (
  SELECT
    event_minute,
    kind,
    SUM(event_count) AS event_count,
    SUM(man_hours) AS man_hours
  FROM parts
  GROUP BY
    event_minute,
    kind
)
SELECT
  event_minute::TIMESTAMP AS event_minute, /* The minute, UTC */
  kind::TEXT AS kind, /* defect, inspection, rectification, replacement or deferral */
  event_count::BIGINT AS event_count, /* Events */
  man_hours::DECIMAL(18, 2) AS man_hours /* Hours of work */
FROM minutes
WHERE
  event_count <> 0
