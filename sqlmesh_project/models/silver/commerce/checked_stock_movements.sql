MODEL (
  name silver_commerce.checked_stock_movements,
  kind EMBEDDED,
  description 'Stock movements of Bronze, conformed and judged: the two tables beside it take the accepted and the rejected.',
  grain movement_id
);

WITH stock_movements AS (
  SELECT
    *
  FROM bronze_commerce.stock_movements
), products AS (
  SELECT
    product_id
  FROM silver_commerce.products
), conformed AS (
  SELECT
    movement_id,
    product_id,
    LOWER(@TIDY(kind)) AS kind,
    quantity,
    order_item_id,
    @UTC(moved_at) AS moved_at,
    @BUSINESS_DATE(@UTC(moved_at)) AS moved_on
  FROM stock_movements
), judged AS (
  SELECT
    conformed.*,
    DATE_TRUNC('MONTH', conformed.moved_on) AS moved_month,
    @REJECTION(
      products.product_id IS NULL,
      'the product is unknown',
      @NOT_ONE_OF(conformed.kind, 'purchase', 'sale', 'return', 'adjustment'),
      'the kind is unknown',
      conformed.quantity IS NULL OR conformed.quantity = 0,
      'nothing moved',
      conformed.kind = 'sale' AND conformed.quantity > 0,
      'a sale adds to the stock',
      conformed.kind IN ('purchase', 'return') AND conformed.quantity < 0,
      'a purchase or return takes from the stock',
      conformed.moved_at IS NULL,
      'the time of the movement is missing'
    ) AS rejection_reason
  FROM conformed
  LEFT JOIN products
    ON conformed.product_id = products.product_id
)
SELECT
  movement_id::BIGINT AS movement_id, /* The movement */
  product_id::TEXT AS product_id, /* The product that moved */
  kind::TEXT AS kind, /* Why it moved: purchase, sale, return or adjustment */
  quantity::INT AS quantity, /* Units added to the stock; negative when they left */
  order_item_id::BIGINT AS order_item_id, /* The order's line that moved it, if one did */
  moved_at::TIMESTAMP AS moved_at, /* When it moved, UTC */
  moved_on::DATE AS moved_on, /* The business day of the movement */
  moved_month::DATE AS moved_month, /* First day of the movement's month */
  rejection_reason::TEXT AS rejection_reason /* Why the row is rejected, reasons joined by semicolons; NULL where it is accepted */
FROM judged
