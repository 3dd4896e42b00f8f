MODEL (
  name silver_commerce.sellers,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Sellers, cleaned and conformed; rejected rows are in quarantined_sellers.',
  grain seller_id,
  audits (
    not_null(columns := (seller_id, name)),
    unique_values(columns := (
      seller_id
    )),
    is_state("column" := state)
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
  commission::DECIMAL(9, 2) AS commission /* The shop's share of a sale, in percent */
FROM checked
WHERE
  rejection_reason IS NULL
