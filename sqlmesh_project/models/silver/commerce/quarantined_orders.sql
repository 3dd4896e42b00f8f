MODEL (
  name silver_commerce.quarantined_orders,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Orders that no later layer can use, with the reason; a row that is corrected at the source leaves.',
  depends_on (
    silver_commerce.orders
  ),
  grain order_id,
  audits (
    not_null(columns := (order_id, rejection_reason)),
    unique_values(columns := (
      order_id
    )),
    every_row_is_kept(landed := bronze_commerce.orders, accepted := silver_commerce.orders)
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
  state::TEXT AS state, /* State of delivery, two letters; NULL where the shop holds no valid one */
  rejection_reason::TEXT AS rejection_reason /* Why the row is rejected, reasons joined by semicolons */
FROM checked
WHERE
  NOT rejection_reason IS NULL
