MODEL (
  name gold_aviation.component_reliability,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'How reliable components are: flight hours between two failures, by part number. Hours of components that are fitted still count; removals by schedule are no failures.',
  grain part_number,
  audits (
    not_null(
      columns := (
        part_number,
        ata_chapter,
        component_count,
        operating_hours,
        failure_count,
        scheduled_removal_count
      )
    ),
    unique_values(columns := (
      part_number
    )),
    at_least("column" := operating_hours, minimum := 0),
    same_total(
      mine := SUM(component_count),
      theirs := COUNT(*),
      source := silver_aviation.components
    )
  )
);

WITH components AS (
  SELECT
    *
  FROM silver_aviation.components
), aircraft AS (
  SELECT
    aircraft_id,
    flight_hours
  FROM silver_aviation.aircraft
), operated AS (
  SELECT
    components.*,
    COALESCE(components.removed_hours, aircraft.flight_hours) - components.installed_hours AS hours
  FROM components
  LEFT JOIN aircraft
    ON components.aircraft_id = aircraft.aircraft_id
), parts AS (
  SELECT
    part_number,
    MIN(ata_chapter) AS ata_chapter,
    COUNT(*) AS component_count,
    SUM(hours) AS operating_hours,
    COUNT(CASE WHEN removal_reason = 'failure' THEN 1 END) AS failure_count,
    COUNT(CASE WHEN removal_reason = 'scheduled' THEN 1 END) AS scheduled_removal_count
  FROM operated
  GROUP BY
    part_number
), averaged AS (
  SELECT
    *,
    ROUND(operating_hours / NULLIF(failure_count, 0), 1) AS hours_between_failures
  FROM parts
)
SELECT
  part_number::TEXT AS part_number, /* Part number */
  ata_chapter::BIGINT AS ata_chapter, /* ATA 100 chapter of the system */
  component_count::BIGINT AS component_count, /* Components that are or were fitted */
  operating_hours::DECIMAL(18, 1) AS operating_hours, /* Flight hours of all of them */
  failure_count::BIGINT AS failure_count, /* Removals because of a failure */
  scheduled_removal_count::BIGINT AS scheduled_removal_count, /* Removals by schedule */
  hours_between_failures::DECIMAL(18, 1) AS hours_between_failures /* Mean flight hours between two failures; NULL without a failure */
FROM averaged
