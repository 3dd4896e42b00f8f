MODEL (
  name bronze_commerce.products,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Products of the catalogue, as last landed.',
  grain product_id,
  audits (
    not_null(columns := (
      product_id
    )),
    unique_values(columns := (
      product_id
    ))
  )
);

WITH landed AS (
  SELECT
    *
  FROM @BRONZE(
    catalogue,
    products,
    product_id::TEXT,
    name::TEXT,
    category::TEXT,
    price_brl::DECIMAL(18, 2),
    weight_g::INT,
    seller_id::TEXT,
    barcode::TEXT,
    launched_on::DATE
  )
), ranked AS (
  SELECT
    *,
    @RECENCY(product_id) AS recency
  FROM landed
)
SELECT
  product_id::TEXT AS product_id, /* The product */
  name::TEXT AS name, /* Name, as written */
  category::TEXT AS category, /* Category, as written */
  price_brl::DECIMAL(18, 2) AS price_brl, /* List price, in reais */
  weight_g::INT AS weight_g, /* Weight in grams */
  seller_id::TEXT AS seller_id, /* Who sells it */
  barcode::TEXT AS barcode, /* Number of the bar code */
  launched_on::DATE AS launched_on /* First day on sale */
FROM ranked
WHERE
  recency = 1
