MODEL (
  name gold_commerce.fct_order_items,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Lines of orders, one row each, with the product''s category and the order''s day. Money is in the shop''s currency.',
  depends_on (gold_commerce.dim_products, gold_commerce.fct_orders),
  partitioned_by (order_month),
  grain order_item_id,
  audits (
    not_null(
      columns := (
        order_item_id,
        order_id,
        order_status,
        product_id,
        seller_id,
        category,
        order_date,
        order_month,
        quantity,
        unit_price,
        revenue
      )
    ),
    unique_values(columns := (
      order_item_id
    )),
    at_least("column" := quantity, minimum := 1),
    refers_to("column" := order_id, target := gold_commerce.fct_orders, key := order_id),
    refers_to("column" := product_id, target := gold_commerce.dim_products, key := product_id),
    same_total(mine := COUNT(*), theirs := COUNT(*), source := silver_commerce.order_items),
    same_total(
      mine := SUM(revenue),
      theirs := SUM(gross_revenue),
      source := gold_commerce.fct_orders
    )
  )
);

WITH order_items AS (
  SELECT
    *
  FROM silver_commerce.order_items
), orders AS (
  SELECT
    order_id,
    order_date,
    order_month,
    status
  FROM silver_commerce.orders
), products AS (
  SELECT
    product_id,
    category
  FROM silver_commerce.products
), joined AS (
  SELECT
    order_items.*,
    orders.status AS order_status,
    orders.order_date,
    orders.order_month,
    products.category,
    order_items.quantity * order_items.unit_price AS revenue
  FROM order_items
  INNER JOIN orders
    ON order_items.order_id = orders.order_id
  INNER JOIN products
    ON order_items.product_id = products.product_id
)
SELECT
  order_item_id::BIGINT AS order_item_id, /* The line */
  order_id::BIGINT AS order_id, /* The order it belongs to */
  order_status::TEXT AS order_status, /* Where the order stands: placed, paid, shipped, delivered, returned or cancelled */
  product_id::TEXT AS product_id, /* The product ordered */
  seller_id::TEXT AS seller_id, /* Who sells it */
  category::TEXT AS category, /* Category of the product */
  order_date::DATE AS order_date, /* The business day of the order */
  order_month::DATE AS order_month, /* First day of the order's month */
  quantity::INT AS quantity, /* Units ordered */
  unit_price::DECIMAL(18, 2) AS unit_price, /* Price of one unit */
  revenue::DECIMAL(18, 2) AS revenue /* Quantity times price, before discount */
FROM joined
