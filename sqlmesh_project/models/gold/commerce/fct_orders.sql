MODEL (
  name gold_commerce.fct_orders,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Orders, one row each, with what they brought and how they were paid. Money is in the shop''s currency.',
  partitioned_by (order_month),
  grain order_id,
  audits (
    not_null(
      columns := (
        order_id,
        customer_id,
        ordered_at,
        order_date,
        order_month,
        status,
        channel,
        item_count,
        gross_revenue,
        discount,
        shipping,
        net_revenue,
        is_paid_late
      )
    ),
    unique_values(columns := (
      order_id
    )),
    accepted_values(
      "column" := status,
      is_in := ('placed', 'paid', 'shipped', 'delivered', 'returned', 'cancelled')
    ),
    accepted_values("column" := channel, is_in := ('web', 'app', 'marketplace', 'store')),
    accepted_values("column" := payment_method, is_in := ('credit_card', 'pix', 'boleto', 'voucher')),
    at_least("column" := gross_revenue, minimum := 0),
    same_total(mine := COUNT(*), theirs := COUNT(*), source := silver_commerce.orders),
    same_total(
      mine := SUM(gross_revenue),
      theirs := SUM(quantity * unit_price),
      source := silver_commerce.order_items
    ),
    same_total(
      mine := SUM(item_count),
      theirs := SUM(quantity),
      source := silver_commerce.order_items
    )
  )
);

WITH orders AS (
  SELECT
    *
  FROM silver_commerce.orders
), order_items AS (
  SELECT
    *
  FROM silver_commerce.order_items
), payments AS (
  SELECT
    *
  FROM silver_commerce.payments
), totals AS (
  SELECT
    order_id,
    SUM(quantity) AS item_count,
    SUM(quantity * unit_price) AS gross_revenue
  FROM order_items
  GROUP BY
    order_id
), ranked_payments AS (
  /* The first payment that was made; where none was, the first that is due. */
  SELECT
    *,
    ROW_NUMBER() OVER (PARTITION BY order_id ORDER BY paid_at, due_at, payment_id) AS place
  FROM payments
), first_payments AS (
  SELECT
    order_id,
    method,
    due_at,
    paid_at
  FROM ranked_payments
  WHERE
    place = 1
), joined AS (
  SELECT
    orders.*,
    first_payments.method AS payment_method,
    first_payments.due_at,
    first_payments.paid_at,
    COALESCE(totals.item_count, 0) AS item_count,
    COALESCE(totals.gross_revenue, 0) AS gross_revenue
  FROM orders
  LEFT JOIN totals
    ON orders.order_id = totals.order_id
  LEFT JOIN first_payments
    ON orders.order_id = first_payments.order_id
), measured AS (
  SELECT
    *,
    CASE
      WHEN status IN ('cancelled', 'returned')
      THEN 0
      ELSE gross_revenue - discount
    END AS net_revenue,
    DATE_DIFF('DAY', order_date, @BUSINESS_DATE(paid_at)) AS days_to_pay,
    COALESCE(paid_at > due_at, FALSE) AS is_paid_late
  FROM joined
)
SELECT
  order_id::BIGINT AS order_id, /* The order */
  customer_id::BIGINT AS customer_id, /* Who ordered */
  ordered_at::TIMESTAMP AS ordered_at, /* When it was ordered, UTC */
  order_date::DATE AS order_date, /* The business day of the order */
  order_month::DATE AS order_month, /* First day of the order's month */
  status::TEXT AS status, /* Where the order stands: placed, paid, shipped, delivered, returned or cancelled */
  channel::TEXT AS channel, /* Where it was taken: web, app, marketplace or store */
  state::TEXT AS state, /* State of delivery, two letters; NULL where it is unknown */
  payment_method::TEXT AS payment_method, /* How it is or was to be paid: credit_card, pix, boleto or voucher; NULL without a payment */
  item_count::BIGINT AS item_count, /* Units ordered */
  gross_revenue::DECIMAL(18, 2) AS gross_revenue, /* Price of the items before discount */
  discount::DECIMAL(18, 2) AS discount, /* Taken off the items' price */
  shipping::DECIMAL(18, 2) AS shipping, /* Charged for delivery, no part of the revenue */
  net_revenue::DECIMAL(18, 2) AS net_revenue, /* Price of the items after discount; zero when the order is cancelled or returned */
  paid_at::TIMESTAMP AS paid_at, /* When it was first paid, UTC; NULL when it was not */
  days_to_pay::INT AS days_to_pay, /* Business days of the calendar from order to payment; NULL when it was not paid */
  is_paid_late::BOOLEAN AS is_paid_late /* Whether it was paid after it was due; false when it was not paid */
FROM measured
