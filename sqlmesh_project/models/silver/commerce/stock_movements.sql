MODEL (
  name silver_commerce.stock_movements,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Stock movements, cleaned and conformed; rejected rows are in quarantined_stock_movements.',
  partitioned_by (moved_month),
  grain movement_id,
  audits (
    not_null(
      columns := (movement_id, product_id, kind, quantity, moved_at, moved_on, moved_month)
    ),
    unique_values(columns := (
      movement_id
    )),
    accepted_values("column" := kind, is_in := ('purchase', 'sale', 'return', 'adjustment')),
    refers_to("column" := product_id, target := silver_commerce.products, key := product_id)
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
  moved_month::DATE AS moved_month /* First day of the movement's month */
FROM checked
WHERE
  rejection_reason IS NULL
