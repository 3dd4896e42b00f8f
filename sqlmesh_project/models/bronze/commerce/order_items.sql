MODEL (
  name bronze_commerce.order_items,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Lines of the orders, as last landed.',
  grain order_item_id,
  audits (
    not_null(columns := (
      order_item_id
    )),
    unique_values(columns := (
      order_item_id
    ))
  )
);

WITH landed AS (
  SELECT
    *
  FROM @BRONZE(
    shop,
    order_items,
    order_item_id::BIGINT,
    order_id::BIGINT,
    product_id::TEXT,
    seller_id::TEXT,
    quantity::INT,
    unit_price::DECIMAL(18, 2),
    updated_at::TIMESTAMPTZ
  )
), ranked AS (
  SELECT
    *,
    @RECENCY(order_item_id, updated_at) AS recency
  FROM landed
)
SELECT
  order_item_id::BIGINT AS order_item_id, /* The line */
  order_id::BIGINT AS order_id, /* The order it belongs to */
  product_id::TEXT AS product_id, /* The product ordered */
  seller_id::TEXT AS seller_id, /* Who sells it */
  quantity::INT AS quantity, /* Units ordered */
  unit_price::DECIMAL(18, 2) AS unit_price, /* Price of one unit, in the shop's currency */
  updated_at::TIMESTAMPTZ AS updated_at /* When the shop last changed the row */
FROM ranked
WHERE
  recency = 1
