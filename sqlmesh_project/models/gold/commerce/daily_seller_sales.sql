MODEL (
  name gold_commerce.daily_seller_sales,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Sales of each seller on each business day, without cancelled orders. Revenue is before discount, in the shop''s currency.',
  grain (order_date, seller_id),
  audits (
    not_null(columns := (order_date, seller_id, seller_name, order_count, revenue)),
    unique_combination_of_columns(columns := (order_date, seller_id)),
    same_total(
      mine := SUM(revenue),
      theirs := SUM(CASE WHEN order_status <> 'cancelled' THEN revenue END),
      source := gold_commerce.fct_order_items
    )
  )
);

WITH order_items AS (
  SELECT
    *
  FROM gold_commerce.fct_order_items
  WHERE
    order_status <> 'cancelled'
), sellers AS (
  SELECT
    seller_id,
    name,
    state
  FROM silver_commerce.sellers
), days AS (
  SELECT
    order_date,
    seller_id,
    COUNT(DISTINCT order_id) AS order_count,
    SUM(revenue) AS revenue
  FROM order_items
  GROUP BY
    order_date,
    seller_id
), named AS (
  SELECT
    days.*,
    sellers.name AS seller_name,
    sellers.state AS seller_state
  FROM days
  LEFT JOIN sellers
    ON days.seller_id = sellers.seller_id
)
SELECT
  order_date::DATE AS order_date, /* The business day */
  seller_id::TEXT AS seller_id, /* The seller */
  seller_name::TEXT AS seller_name, /* Name of the seller */
  seller_state::TEXT AS seller_state, /* State of the seller, two letters; NULL where it is unknown */
  order_count::BIGINT AS order_count, /* Orders that hold an item of the seller */
  revenue::DECIMAL(18, 2) AS revenue /* Quantity times price, before discount */
FROM named
