MODEL (
  name gold_commerce.customer_retention,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'How many customers of each month''s first-time buyers ordered again, month by month. Cancelled orders do not count.',
  grain (cohort_month, month_number),
  audits (
    not_null(
      columns := (cohort_month, month_number, cohort_size, active_customers, retention_rate)
    ),
    unique_combination_of_columns(columns := (cohort_month, month_number)),
    first_month_is_whole,
    same_total(
      mine := SUM(CASE WHEN month_number = 0 THEN cohort_size END),
      theirs := COUNT(DISTINCT CASE WHEN status <> 'cancelled' THEN customer_id END),
      source := gold_commerce.fct_orders
    )
  )
);

WITH orders AS (
  SELECT
    customer_id,
    order_month
  FROM gold_commerce.fct_orders
  WHERE
    status <> 'cancelled'
), cohorts AS (
  SELECT
    customer_id,
    MIN(order_month) AS cohort_month
  FROM orders
  GROUP BY
    customer_id
), sizes AS (
  SELECT
    cohort_month,
    COUNT(*) AS cohort_size
  FROM cohorts
  GROUP BY
    cohort_month
), activity AS (
  SELECT
    cohorts.cohort_month,
    DATE_DIFF('MONTH', cohorts.cohort_month, orders.order_month) AS month_number,
    COUNT(DISTINCT orders.customer_id) AS active_customers
  FROM orders
  INNER JOIN cohorts
    ON orders.customer_id = cohorts.customer_id
  GROUP BY
    cohorts.cohort_month,
    DATE_DIFF('MONTH', cohorts.cohort_month, orders.order_month)
), rated AS (
  SELECT
    activity.*,
    sizes.cohort_size,
    ROUND(activity.active_customers / sizes.cohort_size, 4) AS retention_rate
  FROM activity
  INNER JOIN sizes
    ON activity.cohort_month = sizes.cohort_month
)
SELECT
  cohort_month::DATE AS cohort_month, /* First day of the month of the first order */
  month_number::INT AS month_number, /* Months since then; 0 is the month itself */
  cohort_size::BIGINT AS cohort_size, /* Customers whose first order is in that month */
  active_customers::BIGINT AS active_customers, /* Those of them with an order in the month */
  retention_rate::DECIMAL(9, 4) AS retention_rate /* Active customers by cohort size, 0 to 1 */
FROM rated
