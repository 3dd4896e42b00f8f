MODEL (
  name silver_commerce.order_items,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Lines of orders, cleaned and conformed; rejected rows are in quarantined_order_items.',
  grain order_item_id,
  audits (
    not_null(
      columns := (order_item_id, order_id, product_id, seller_id, quantity, unit_price)
    ),
    unique_values(columns := (
      order_item_id
    )),
    refers_to("column" := order_id, target := silver_commerce.orders, key := order_id),
    refers_to("column" := product_id, target := silver_commerce.products, key := product_id),
    refers_to("column" := seller_id, target := silver_commerce.sellers, key := seller_id)
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
  unit_price::DECIMAL(18, 2) AS unit_price /* Price of one unit, in the shop's currency */
FROM checked
WHERE
  rejection_reason IS NULL
