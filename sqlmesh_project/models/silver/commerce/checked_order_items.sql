MODEL (
  name silver_commerce.checked_order_items,
  kind EMBEDDED,
  description 'Lines of orders of Bronze, conformed and judged: the two tables beside it take the accepted and the rejected.',
  grain order_item_id
);

WITH order_items AS (
  SELECT
    *
  FROM bronze_commerce.order_items
), orders AS (
  SELECT
    order_id
  FROM silver_commerce.orders
), products AS (
  SELECT
    product_id
  FROM silver_commerce.products
), sellers AS (
  SELECT
    seller_id
  FROM silver_commerce.sellers
), judged AS (
  SELECT
    order_items.order_item_id,
    order_items.order_id,
    order_items.product_id,
    order_items.seller_id,
    order_items.quantity,
    order_items.unit_price,
    @REJECTION(
      orders.order_id IS NULL,
      'the order is unknown or rejected',
      products.product_id IS NULL,
      'the product is unknown',
      sellers.seller_id IS NULL,
      'the seller is unknown',
      order_items.quantity IS NULL OR order_items.quantity <= 0,
      'the quantity is not positive',
      order_items.unit_price IS NULL OR order_items.unit_price < 0,
      'the price is missing or negative'
    ) AS rejection_reason
  FROM order_items
  LEFT JOIN orders
    ON order_items.order_id = orders.order_id
  LEFT JOIN products
    ON order_items.product_id = products.product_id
  LEFT JOIN sellers
    ON order_items.seller_id = sellers.seller_id
)
SELECT
  order_item_id::BIGINT AS order_item_id, /* The line */
  order_id::BIGINT AS order_id, /* The order it belongs to */
  product_id::TEXT AS product_id, /* The product ordered */
  seller_id::TEXT AS seller_id, /* Who sells it */
  quantity::INT AS quantity, /* Units ordered */
  unit_price::DECIMAL(18, 2) AS unit_price, /* Price of one unit, in the shop's currency */
  rejection_reason::TEXT AS rejection_reason /* Why the row is rejected, reasons joined by semicolons; NULL where it is accepted */
FROM judged
