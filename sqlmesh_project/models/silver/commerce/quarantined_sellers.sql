MODEL (
  name silver_commerce.quarantined_sellers,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Sellers that no later layer can use, with the reason; a row that is corrected at the source leaves.',
  depends_on (
    silver_commerce.sellers
  ),
  grain seller_id,
  audits (
    not_null(columns := (seller_id, rejection_reason)),
    unique_values(columns := (
      seller_id
    )),
    every_row_is_kept(landed := bronze_commerce.sellers, accepted := silver_commerce.sellers)
  )
);

WITH checked AS (
  SELECT
    *
  FROM silver_commerce.checked_sellers
)
SELECT
  seller_id::TEXT AS seller_id, /* The seller */
  name::TEXT AS name, /* Name */
  city::TEXT AS city, /* City */
  state::TEXT AS state, /* State, two letters; NULL where the catalogue holds no valid one */
  zip_code::TEXT AS zip_code, /* Postal code */
  commission::DECIMAL(9, 2) AS commission, /* The shop's share of a sale, in percent */
  rejection_reason::TEXT AS rejection_reason /* Why the row is rejected, reasons joined by semicolons */
FROM checked
WHERE
  NOT rejection_reason IS NULL
