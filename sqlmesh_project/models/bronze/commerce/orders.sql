MODEL (
  name bronze_commerce.orders,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Orders of the shop, as last landed.',
  grain order_id,
  audits (not_null(columns := (
      order_id
    )), unique_values(columns := (
      order_id
  )))
);

WITH landed AS (
  SELECT
    *
  FROM @BRONZE(
    shop,
    orders,
    order_id::BIGINT,
    customer_id::BIGINT,
    ordered_at::TIMESTAMPTZ,
    status::TEXT,
    channel::TEXT,
    coupon::TEXT,
    discount::DECIMAL(18, 2),
    shipping::DECIMAL(18, 2),
    ship_to_city::TEXT,
    ship_to_state::TEXT,
    updated_at::TIMESTAMPTZ
  )
), ranked AS (
  SELECT
    *,
    @RECENCY(order_id, updated_at) AS recency
  FROM landed
)
SELECT
  order_id::BIGINT AS order_id, /* The order */
  customer_id::BIGINT AS customer_id, /* Who ordered */
  ordered_at::TIMESTAMPTZ AS ordered_at, /* When it was ordered, by the clock of the customer's device */
  status::TEXT AS status, /* Where the order stands, as the shop writes it */
  channel::TEXT AS channel, /* Where it was taken, as the shop writes it */
  coupon::TEXT AS coupon, /* Code that gave the discount, if any */
  discount::DECIMAL(18, 2) AS discount, /* Taken off the items' price, in the shop's currency */
  shipping::DECIMAL(18, 2) AS shipping, /* Charged for delivery, in the shop's currency */
  ship_to_city::TEXT AS ship_to_city, /* City of delivery, as typed */
  ship_to_state::TEXT AS ship_to_state, /* State of delivery, as typed */
  updated_at::TIMESTAMPTZ AS updated_at /* When the shop last changed the row */
FROM ranked
WHERE
  recency = 1
