MODEL (
  name silver_commerce.orders,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Orders, cleaned and conformed; rejected rows are in quarantined_orders.',
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
        discount,
        shipping
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
    is_state("column" := state),
    refers_to("column" := customer_id, target := silver_commerce.customers, key := customer_id)
  )
);

WITH checked AS (
  SELECT
    *
  FROM silver_commerce.checked_orders
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
  state::TEXT AS state /* State of delivery, two letters; NULL where the shop holds no valid one */
FROM checked
WHERE
  rejection_reason IS NULL
