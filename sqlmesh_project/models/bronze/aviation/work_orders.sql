MODEL (
  name bronze_aviation.work_orders,
  kind VIEW,
  description 'Work orders: every change that was committed at the source, up to where the last run read. Of a deletion only the key is known; a deletion without a key says that the table was emptied.',
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
    work_orders,
    work_order_id::BIGINT,
    aircraft_id::BIGINT,
    station_code::TEXT,
    kind::TEXT,
    status::TEXT,
    opened_at::TIMESTAMPTZ,
    closed_at::TIMESTAMPTZ,
    tasks::BIGINT,
    updated_at::TIMESTAMPTZ
  )
)
SELECT
  work_order_id::BIGINT AS work_order_id, /* The work order */
  aircraft_id::BIGINT AS aircraft_id, /* Aircraft that is worked on */
  station_code::TEXT AS station_code, /* Station where the work is done */
  kind::TEXT AS kind, /* a_check, b_check, c_check, d_check or unscheduled */
  status::TEXT AS status, /* open, in_progress, deferred or closed */
  opened_at::TIMESTAMPTZ AS opened_at, /* When it was opened */
  closed_at::TIMESTAMPTZ AS closed_at, /* When it was closed; NULL before */
  tasks::BIGINT AS tasks, /* Events that it needs before it can be closed */
  updated_at::TIMESTAMPTZ AS updated_at, /* When the row last changed */
  _ab_cdc_updated_at::TIMESTAMPTZ AS _ab_cdc_updated_at, /* When the change was committed at the source */
  _ab_cdc_deleted_at::TIMESTAMPTZ AS _ab_cdc_deleted_at, /* The same, of a deletion; else NULL */
  _lavra_sequence::BIGINT AS _lavra_sequence /* The order of all changes of the stream */
FROM changes
