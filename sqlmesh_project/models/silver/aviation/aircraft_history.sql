MODEL (
  name silver_aviation.aircraft_history,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'When each aircraft was active, in a check or grounded, and where it was based (type 2). It begins with the first load; flights alone begin no new state.',
  grain (aircraft_id, valid_from),
  audits (
    not_null(
      columns := (aircraft_id, tail_number, base_station, status, valid_from, is_current)
    ),
    unique_combination_of_columns(columns := (aircraft_id, valid_from)),
    ends_where_the_next_begins(key := aircraft_id),
    same_total(
      mine := COUNT(CASE WHEN is_current THEN 1 END),
      theirs := COUNT(*),
      source := silver_aviation.aircraft
    )
  ),
  depends_on (
    silver_aviation.aircraft
  )
);

WITH changes AS (
  SELECT
    *
  FROM bronze_aviation.aircraft
), emptied AS (
  SELECT
    _lavra_sequence AS emptied_at,
    _ab_cdc_updated_at AS emptied_time
  FROM changes
  WHERE
    aircraft_id IS NULL AND NOT _ab_cdc_deleted_at IS NULL
), ended AS (
  SELECT
    changes.aircraft_id,
    changes._lavra_sequence,
    MIN(emptied.emptied_time) AS emptied_time
  FROM changes
  JOIN emptied
    ON emptied.emptied_at > changes._lavra_sequence
  GROUP BY
    changes.aircraft_id,
    changes._lavra_sequence
), versions AS (
  SELECT
    changes.*,
    LEAD(changes._ab_cdc_updated_at) OVER (PARTITION BY changes.aircraft_id ORDER BY changes._lavra_sequence) AS next_time,
    ended.emptied_time
  FROM changes
  LEFT JOIN ended
    ON changes.aircraft_id = ended.aircraft_id
    AND changes._lavra_sequence = ended._lavra_sequence
  WHERE
    NOT changes.aircraft_id IS NULL
), bounded AS (
  SELECT
    *,
    CASE
      WHEN next_time IS NULL
      THEN emptied_time
      WHEN emptied_time IS NULL
      THEN next_time
      ELSE LEAST(next_time, emptied_time)
    END::TIMESTAMPTZ AS ended_at
  FROM versions
  WHERE
    _ab_cdc_deleted_at IS NULL
), lasting AS (
  SELECT
    *
  FROM bounded
  WHERE
    ended_at IS NULL OR ended_at > _ab_cdc_updated_at
), compared AS (
  SELECT
    *,
    LAG(tail_number || ' ' || base_station || ' ' || status) OVER (PARTITION BY aircraft_id ORDER BY _lavra_sequence) AS state_before,
    LAG(ended_at) OVER (PARTITION BY aircraft_id ORDER BY _lavra_sequence) AS ended_before
  FROM lasting
), marked AS (
  SELECT
    *,
    CASE
      WHEN state_before = tail_number || ' ' || base_station || ' ' || status
      AND ended_before = _ab_cdc_updated_at
      THEN 0
      ELSE 1
    END AS is_new
  FROM compared
), numbered AS (
  SELECT
    *,
    SUM(is_new) OVER (PARTITION BY aircraft_id ORDER BY _lavra_sequence NULLS FIRST) AS state_number
  FROM marked
), states AS (
  SELECT
    aircraft_id,
    tail_number,
    base_station,
    status,
    @UTC(MIN(_ab_cdc_updated_at)) AS valid_from,
    @UTC(CASE WHEN COUNT(*) = COUNT(ended_at) THEN MAX(ended_at) END) AS valid_to,
    COUNT(*) > COUNT(ended_at) AS is_current
  FROM numbered
  GROUP BY
    aircraft_id,
    state_number,
    tail_number,
    base_station,
    status
)
SELECT
  aircraft_id::BIGINT AS aircraft_id, /* The aircraft */
  tail_number::TEXT AS tail_number, /* Registration mark */
  base_station::TEXT AS base_station, /* Station where it was based */
  status::TEXT AS status, /* active, in_check or grounded */
  valid_from::TIMESTAMP AS valid_from, /* When this state began, UTC */
  valid_to::TIMESTAMP AS valid_to, /* When it ended, UTC; NULL of the present one */
  is_current::BOOLEAN AS is_current /* Whether it is the present one */
FROM states
