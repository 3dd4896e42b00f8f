MODEL (
  name gold_commerce.dim_customers,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Customers, one row each, with what they ordered so far. Cancelled orders do not count.',
  grain customer_id,
  audits (
    not_null(
      columns := (customer_id, name, signed_up_on, order_count, lifetime_revenue, segment)
    ),
    unique_values(columns := (
      customer_id
    )),
    accepted_values(
      "column" := segment,
      is_in := ('champion', 'loyal', 'promising', 'new', 'at_risk', 'dormant', 'prospect')
    ),
    same_total(mine := COUNT(*), theirs := COUNT(*), source := silver_commerce.customers),
    same_total(
      mine := SUM(lifetime_revenue),
      theirs := SUM(net_revenue),
      source := gold_commerce.fct_orders
    )
  )
);

WITH customers AS (
  SELECT
    *
  FROM silver_commerce.customers
), orders AS (
  SELECT
    *
  FROM gold_commerce.fct_orders
  WHERE
    status <> 'cancelled'
), segments AS (
  SELECT
    customer_id,
    segment
  FROM gold_commerce.customer_segments
), histories AS (
  SELECT
    customer_id,
    MIN(order_date) AS first_order_date,
    MAX(order_date) AS last_order_date,
    COUNT(*) AS order_count,
    SUM(net_revenue) AS lifetime_revenue
  FROM orders
  GROUP BY
    customer_id
), joined AS (
  SELECT
    customers.*,
    histories.first_order_date,
    histories.last_order_date,
    COALESCE(histories.order_count, 0) AS order_count,
    COALESCE(histories.lifetime_revenue, 0) AS lifetime_revenue,
    COALESCE(segments.segment, 'prospect') AS segment
  FROM customers
  LEFT JOIN histories
    ON customers.customer_id = histories.customer_id
  LEFT JOIN segments
    ON customers.customer_id = segments.customer_id
)
SELECT
  customer_id::BIGINT AS customer_id, /* The customer */
  name::TEXT AS name, /* Full name #pii */
  email::TEXT AS email, /* Electronic mail address; NULL where there is no valid one #pii */
  city::TEXT AS city, /* City */
  state::TEXT AS state, /* State, two letters; NULL where it is unknown */
  signed_up_on::DATE AS signed_up_on, /* The business day of the sign-up */
  first_order_date::DATE AS first_order_date, /* The business day of the first order; NULL without one */
  last_order_date::DATE AS last_order_date, /* The business day of the last order; NULL without one */
  order_count::BIGINT AS order_count, /* Orders so far */
  lifetime_revenue::DECIMAL(18, 2) AS lifetime_revenue, /* Net revenue so far, in the shop's currency */
  segment::TEXT AS segment /* Segment by recency, frequency and money; prospect without an order */
FROM joined
