MODEL (
  name silver_commerce.products,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Products, cleaned and conformed; rejected rows are in quarantined_products.',
  grain product_id,
  audits (
    not_null(columns := (product_id, name, category, department, price)),
    unique_values(columns := (
      product_id
    ))
  )
);

WITH checked AS (
  SELECT
    *
  FROM silver_commerce.checked_products
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
  launched_on::DATE AS launched_on /* First day on sale */
FROM checked
WHERE
  rejection_reason IS NULL
