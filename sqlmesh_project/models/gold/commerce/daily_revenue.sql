MODEL (
  name gold_commerce.daily_revenue,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Orders and revenue of each business day that has orders. Cancelled orders count only as cancelled. Money is in the shop''s currency.',
  grain order_date,
  audits (
    not_null(
      columns := (
        order_date,
        order_count,
        customer_count,
        new_customer_count,
        item_count,
        gross_revenue,
        net_revenue,
        cancelled_order_count
      )
    ),
    unique_values(columns := (
      order_date
    )),
    same_total(
      mine := SUM(order_count + cancelled_order_count),
      theirs := COUNT(*),
      source := gold_commerce.fct_orders
    ),
    same_total(
      mine := SUM(net_revenue),
      theirs := SUM(net_revenue),
      source := gold_commerce.fct_orders
    ),
    same_total(
      mine := SUM(gross_revenue),
      theirs := SUM(CASE WHEN status <> 'cancelled' THEN gross_revenue END),
      source := gold_commerce.fct_orders
    )
  )
);

WITH orders AS (
  SELECT
    *
  FROM gold_commerce.fct_orders
), first_orders AS (
  SELECT
    customer_id,
    MIN(order_date) AS first_order_date
  FROM orders
  WHERE
    status <> 'cancelled'
  GROUP BY
    customer_id
), marked AS (
  SELECT
    orders.*,
    orders.status <> 'cancelled' AS is_counted,
    orders.order_date = first_orders.first_order_date AS is_first_day
  FROM orders
  LEFT JOIN first_orders
    ON orders.customer_id = first_orders.customer_id
), days AS (
  SELECT
    order_date,
    COUNT(CASE WHEN is_counted THEN order_id END) AS order_count,
    COUNT(DISTINCT CASE WHEN is_counted THEN customer_id END) AS customer_count,
    COUNT(DISTINCT CASE WHEN is_counted AND is_first_day THEN customer_id END) AS new_customer_count,
    SUM(CASE WHEN is_counted THEN item_count ELSE 0 END) AS item_count,
    SUM(CASE WHEN is_counted THEN gross_revenue ELSE 0 END) AS gross_revenue,
    SUM(net_revenue) AS net_revenue,
    COUNT(CASE WHEN NOT is_counted THEN order_id END) AS cancelled_order_count
  FROM marked
  GROUP BY
    order_date
), averaged AS (
  SELECT
    *,
    ROUND(net_revenue / NULLIF(order_count, 0), 2) AS average_order_value
  FROM days
)
SELECT
  order_date::DATE AS order_date, /* The business day */
  order_count::BIGINT AS order_count, /* Orders that are not cancelled */
  customer_count::BIGINT AS customer_count, /* Customers with such an order */
  new_customer_count::BIGINT AS new_customer_count, /* Customers whose first such order this day holds */
  item_count::BIGINT AS item_count, /* Units ordered */
  gross_revenue::DECIMAL(18, 2) AS gross_revenue, /* Price of the items before discount */
  net_revenue::DECIMAL(18, 2) AS net_revenue, /* Price of the items after discount, without returned orders */
  cancelled_order_count::BIGINT AS cancelled_order_count, /* Orders that are cancelled */
  average_order_value::DECIMAL(18, 2) AS average_order_value /* Net revenue per order; NULL without an order */
FROM averaged
