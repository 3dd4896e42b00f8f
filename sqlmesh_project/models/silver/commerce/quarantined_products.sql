MODEL (
  name silver_commerce.quarantined_products,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Products that no later layer can use, with the reason; a row that is corrected at the source leaves.',
  depends_on (
    silver_commerce.products
  ),
  grain product_id,
  audits (
    not_null(columns := (product_id, rejection_reason)),
    unique_values(columns := (
      product_id
    )),
    every_row_is_kept(landed := bronze_commerce.products, accepted := silver_commerce.products)
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
  launched_on::DATE AS launched_on, /* First day on sale */
  rejection_reason::TEXT AS rejection_reason /* Why the row is rejected, reasons joined by semicolons */
FROM checked
WHERE
  NOT rejection_reason IS NULL
