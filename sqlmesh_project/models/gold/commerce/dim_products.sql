MODEL (
  name gold_commerce.dim_products,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Products of the catalogue, one row each.',
  grain product_id,
  audits (
    not_null(columns := (product_id, name, category, department, price)),
    unique_values(columns := (
      product_id
    )),
    at_least("column" := price, minimum := 0),
    same_total(mine := COUNT(*), theirs := COUNT(*), source := silver_commerce.products)
  )
);

WITH products AS (
  SELECT
    *
  FROM silver_commerce.products
)
SELECT
  product_id::TEXT AS product_id, /* The product */
  name::TEXT AS name, /* Name */
  category::TEXT AS category, /* Category in English; uncategorised where the catalogue holds none */
  department::TEXT AS department, /* Department of the category */
  price::DECIMAL(18, 2) AS price, /* List price, in the shop's currency */
  weight_g::INT AS weight_g /* Weight in grams; NULL where it is unknown */
FROM products
