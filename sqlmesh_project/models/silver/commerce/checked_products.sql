MODEL (
  name silver_commerce.checked_products,
  kind EMBEDDED,
  description 'Products of Bronze, conformed and judged: the two tables beside it take the accepted and the rejected.',
  grain product_id
);

WITH products AS (
  SELECT
    *
  FROM bronze_commerce.products
), categories AS (
  SELECT
    *
  FROM silver_commerce.categories
), joined AS (
  SELECT
    products.*,
    categories.category_en,
    categories.department
  FROM products
  LEFT JOIN categories
    ON LOWER(@TIDY(products.category)) = categories.category
), conformed AS (
  SELECT
    product_id,
    @TIDY(name) AS name,
    COALESCE(category_en, 'uncategorised') AS category,
    COALESCE(department, 'uncategorised') AS department,
    price_brl AS price,
    weight_g,
    seller_id,
    @TIDY(barcode) AS barcode,
    launched_on,
    @REJECTION(
      @TIDY(name) IS NULL,
      'the name is missing',
      NOT category IS NULL AND category_en IS NULL,
      'the category is unknown',
      price_brl IS NULL OR price_brl < 0,
      'the price is missing or negative',
      weight_g <= 0,
      'the weight is not positive'
    ) AS rejection_reason
  FROM joined
)
SELECT
  product_id::TEXT AS product_id, /* The product */
  name::TEXT AS name, /* Name */
  category::TEXT AS category, /* Category in English; uncategorised where the catalogue holds none */
  department::TEXT AS department, /* Department of the category; uncategorised where the catalogue holds none */
  price::DECIMAL(18, 2) AS price, /* List price, in the shop's currency */
  weight_g::INT AS weight_g, /* Weight in grams; NULL where it is unknown */
  seller_id::TEXT AS seller_id, /* Who sells it */
  barcode::TEXT AS barcode, /* Number of the bar code */
  launched_on::DATE AS launched_on, /* First day on sale */
  rejection_reason::TEXT AS rejection_reason /* Why the row is rejected, reasons joined by semicolons; NULL where it is accepted */
FROM conformed
