MODEL (
  name silver_commerce.quarantined_order_items,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Lines of orders that no later layer can use, with the reason; a row that is corrected at the source leaves.',
  depends_on (
    silver_commerce.order_items
  ),
  grain order_item_id,
  audits (
    not_null(columns := (order_item_id, rejection_reason)),
    unique_values(columns := (
      order_item_id
    )),
    every_row_is_kept(landed := bronze_commerce.order_items, accepted := silver_commerce.order_items)
  )
);

WITH checked AS (
  SELECT
    *
  FROM silver_commerce.checked_order_items
)
SELECT
  order_item_id::BIGINT AS order_item_id, /* The line */
  order_id::BIGINT AS order_id, /* The order it belongs to */
  product_id::TEXT AS product_id, /* The product ordered */
  seller_id::TEXT AS seller_id, /* Who sells it */
  quantity::INT AS quantity, /* Units ordered */
  unit_price::DECIMAL(18, 2) AS unit_price, /* Price of one unit, in the shop's currency */
  rejection_reason::TEXT AS rejection_reason /* Why the row is rejected, reasons joined by semicolons */
FROM checked
WHERE
  NOT rejection_reason IS NULL
