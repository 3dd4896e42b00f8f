MODEL (
  name bronze_commerce.stock_movements,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'What entered and left the stock, as last landed.',
  grain movement_id,
  audits (
    not_null(columns := (
      movement_id
    )),
    unique_values(columns := (
      movement_id
    ))
  )
);

WITH landed AS (
  SELECT
    *
  FROM @BRONZE(
    shop,
    stock_movements,
    movement_id::BIGINT,
    product_id::TEXT,
    kind::TEXT,
    quantity::INT,
    order_item_id::BIGINT,
    moved_at::TIMESTAMPTZ,
    updated_at::TIMESTAMPTZ
  )
), ranked AS (
  SELECT
    *,
    @RECENCY(movement_id, updated_at) AS recency
  FROM landed
)
SELECT
  movement_id::BIGINT AS movement_id, /* The movement */
  product_id::TEXT AS product_id, /* The product that moved */
  kind::TEXT AS kind, /* Why it moved, as the shop writes it */
  quantity::INT AS quantity, /* Units added to the stock; negative when they left */
  order_item_id::BIGINT AS order_item_id, /* The order's line that moved it, if one did */
  moved_at::TIMESTAMPTZ AS moved_at, /* When it moved */
  updated_at::TIMESTAMPTZ AS updated_at /* When the shop last changed the row */
FROM ranked
WHERE
  recency = 1
