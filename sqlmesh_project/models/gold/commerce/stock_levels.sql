MODEL (
  name gold_commerce.stock_levels,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Units of each product in stock, the sum of its movements.',
  grain product_id,
  audits (
    not_null(columns := (product_id, category, quantity_on_hand)),
    unique_values(columns := (
      product_id
    )),
    same_total(
      mine := SUM(quantity_on_hand),
      theirs := SUM(quantity),
      source := silver_commerce.stock_movements
    )
  )
);

WITH products AS (
  SELECT
    product_id,
    category
  FROM silver_commerce.products
), stock_movements AS (
  SELECT
    *
  FROM silver_commerce.stock_movements
), levels AS (
  SELECT
    product_id,
    SUM(quantity) AS quantity_on_hand,
    MAX(moved_at) AS last_movement_at
  FROM stock_movements
  GROUP BY
    product_id
), joined AS (
  SELECT
    products.*,
    COALESCE(levels.quantity_on_hand, 0) AS quantity_on_hand,
    levels.last_movement_at
  FROM products
  LEFT JOIN levels
    ON products.product_id = levels.product_id
)
SELECT
  product_id::TEXT AS product_id, /* The product */
  category::TEXT AS category, /* Category of the product */
  quantity_on_hand::BIGINT AS quantity_on_hand, /* Units in stock; negative when more left than is known to have come */
  last_movement_at::TIMESTAMP AS last_movement_at /* When a unit last moved, UTC; NULL when none did */
FROM joined
