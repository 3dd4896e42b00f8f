MODEL (
  name silver_aviation.technicians,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Technicians, as they are at the source now.',
  depends_on (
    silver_aviation.stations
  ),
  grain technician_id,
  audits (
    not_null(columns := (technician_id, name, licence, station_code, is_active, updated_at)),
    unique_values(columns := (
      technician_id
    )),
    refers_to("column" := station_code, target := silver_aviation.stations, key := station_code)
  )
);

WITH present AS (
  SELECT
    *
  FROM @CURRENT_ROWS(bronze_aviation.technicians, technician_id)
), conformed AS (
  SELECT
    technician_id,
    name,
    licence,
    station_code,
    active AS is_active,
    @UTC(updated_at) AS updated_at
  FROM present
)
SELECT
  technician_id::BIGINT AS technician_id, /* The technician */
  name::TEXT AS name, /* Full name #pii */
  licence::TEXT AS licence, /* EASA Part-66 category: A, B1, B2 or C */
  station_code::TEXT AS station_code, /* Station where the technician works */
  is_active::BOOLEAN AS is_active, /* Whether the technician works still */
  updated_at::TIMESTAMP AS updated_at /* When the row last changed, UTC */
FROM conformed
