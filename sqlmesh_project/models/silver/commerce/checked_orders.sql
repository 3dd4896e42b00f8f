MODEL (
  name silver_commerce.checked_orders,
  kind EMBEDDED,
  description 'Orders of Bronze, conformed and judged: the two tables beside it take the accepted and the rejected.',
  grain order_id
);

WITH orders AS (
  SELECT
    *
  FROM bronze_commerce.orders
), customers AS (
  SELECT
    customer_id
  FROM silver_commerce.customers
), conformed AS (
  SELECT
    order_id,
    customer_id,
    @UTC(ordered_at) AS ordered_at,
    @BUSINESS_DATE(@UTC(ordered_at)) AS order_date,
    LOWER(@TIDY(status)) AS status,
    LOWER(@TIDY(channel)) AS channel,
    UPPER(@TIDY(coupon)) AS coupon,
    COALESCE(discount, 0) AS discount,
    COALESCE(shipping, 0) AS shipping,
    @PLACE_NAME(ship_to_city) AS city,
    @STATE(ship_to_state) AS state,
    @UTC(updated_at) AS updated_at
  FROM orders
), judged AS (
  SELECT
    conformed.*,
    DATE_TRUNC('MONTH', conformed.order_date) AS order_month,
    @REJECTION(
      conformed.ordered_at IS NULL,
      'the time of the order is missing',
      conformed.ordered_at > conformed.updated_at + INTERVAL '1' DAY,
      'the order lies in the future',
      customers.customer_id IS NULL,
      'the customer is unknown',
      @NOT_ONE_OF(conformed.status, 'placed', 'paid', 'shipped', 'delivered', 'returned', 'cancelled'),
      'the status is unknown',
      @NOT_ONE_OF(conformed.channel, 'web', 'app', 'marketplace', 'store'),
      'the channel is unknown',
      conformed.discount < 0 OR conformed.shipping < 0,
      'discount or shipping is negative'
    ) AS rejection_reason
  FROM conformed
  LEFT JOIN customers
    ON conformed.customer_id = customers.customer_id
)
SELECT
  order_id::BIGINT AS order_id, /* The order */
  customer_id::BIGINT AS customer_id, /* Who ordered */
  ordered_at::TIMESTAMP AS ordered_at, /* When it was ordered, UTC */
  order_date::DATE AS order_date, /* The business day of the order */
  order_month::DATE AS order_month, /* First day of the order's month */
  status::TEXT AS status, /* Where the order stands: placed, paid, shipped, delivered, returned or cancelled */
  channel::TEXT AS channel, /* Where it was taken: web, app, marketplace or store */
  coupon::TEXT AS coupon, /* Code that gave the discount, if any */
  discount::DECIMAL(18, 2) AS discount, /* Taken off the items' price, in the shop's currency */
  shipping::DECIMAL(18, 2) AS shipping, /* Charged for delivery, in the shop's currency */
  city::TEXT AS city, /* City of delivery */
  state::TEXT AS state, /* State of delivery, two letters; NULL where the shop holds no valid one */
  rejection_reason::TEXT AS rejection_reason /* Why the row is rejected, reasons joined by semicolons; NULL where it is accepted */
FROM judged
