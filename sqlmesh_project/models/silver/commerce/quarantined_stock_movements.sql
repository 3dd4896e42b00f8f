MODEL (
  name silver_commerce.quarantined_stock_movements,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Stock movements that no later layer can use, with the reason; a row that is corrected at the source leaves.',
  depends_on (
    silver_commerce.stock_movements
  ),
  grain movement_id,
  audits (
    not_null(columns := (movement_id, rejection_reason)),
    unique_values(columns := (
      movement_id
    )),
    every_row_is_kept(
      landed := bronze_commerce.stock_movements,
      accepted := silver_commerce.stock_movements
    )
  )
);

WITH checked AS (
  SELECT
    *
  FROM silver_commerce.checked_stock_movements
)
SELECT
  movement_id::BIGINT AS movement_id, /* The movement */
  product_id::TEXT AS product_id, /* The product that moved */
  kind::TEXT AS kind, /* Why it moved: purchase, sale, return or adjustment */
  quantity::INT AS quantity, /* Units added to the stock; negative when they left */
  order_item_id::BIGINT AS order_item_id, /* The order's line that moved it, if one did */
  moved_at::TIMESTAMP AS moved_at, /* When it moved, UTC */
  moved_on::DATE AS moved_on, /* The business day of the movement */
  moved_month::DATE AS moved_month, /* First day of the movement's month */
  rejection_reason::TEXT AS rejection_reason /* Why the row is rejected, reasons joined by semicolons */
FROM checked
WHERE
  NOT rejection_reason IS NULL
