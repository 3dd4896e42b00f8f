MODEL (
  name gold_commerce.daily_category_sales,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Sales of each category on each business day, without cancelled orders. Revenue is before discount, in the shop''s currency.',
  depends_on (
    gold_commerce.daily_revenue
  ),
  grain (order_date, category),
  audits (
    not_null(columns := (order_date, category, order_count, quantity, revenue)),
    unique_combination_of_columns(columns := (order_date, category)),
    same_total(
      mine := SUM(revenue),
      theirs := SUM(CASE WHEN order_status <> 'cancelled' THEN revenue END),
      source := gold_commerce.fct_order_items
    ),
    same_total(
      mine := SUM(revenue),
      theirs := SUM(gross_revenue),
      source := gold_commerce.daily_revenue
    )
  )
);

WITH order_items AS (
  SELECT
    *
  FROM gold_commerce.fct_order_items
  WHERE
    order_status <> 'cancelled'
), days AS (
  SELECT
    order_date,
    category,
    COUNT(DISTINCT order_id) AS order_count,
    SUM(quantity) AS quantity,
    SUM(revenue) AS revenue
  FROM order_items
  GROUP BY
    order_date,
    category
)
SELECT
  order_date::DATE AS order_date, /* The business day */
  category::TEXT AS category, /* Category of the products */
  order_count::BIGINT AS order_count, /* Orders that hold such a product */
  quantity::BIGINT AS quantity, /* Units ordered */
  revenue::DECIMAL(18, 2) AS revenue /* Quantity times price, before discount */
FROM days
