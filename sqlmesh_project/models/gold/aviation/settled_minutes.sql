MODEL (
  name gold_aviation.settled_minutes,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Maintenance events of each minute by type, up to the last run; live_minutes adds what came since.',
  grain (event_minute, kind),
  audits (
    not_null(columns := (event_minute, kind, event_count, man_hours)),
    unique_combination_of_columns(columns := (event_minute, kind)),
    same_total(
      mine := SUM(event_count),
      theirs := COUNT(*),
      source := silver_aviation.maintenance_events
    )
  )
);

WITH events AS (
  SELECT
    *
  FROM silver_aviation.maintenance_events
), minutes AS (
  SELECT
    DATE_TRUNC('MINUTE', occurred_at) AS event_minute,
    kind,
    COUNT(*) AS event_count,
    SUM(man_hours) AS man_hours
  FROM events
  GROUP BY
    DATE_TRUNC('MINUTE', occurred_at),
    kind
)
SELECT
  event_minute::TIMESTAMP AS event_minute, /* The minute, UTC */
  kind::TEXT AS kind, /* defect, inspection, rectification, replacement or deferral */
  event_count::BIGINT AS event_count, /* Events */
  man_hours::DECIMAL(18, 2) AS man_hours /* Hours of work */
FROM minutes
