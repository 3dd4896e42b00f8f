MODEL (
  name bronze_commerce.sellers,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Sellers of the catalogue, as last landed.',
  grain seller_id,
  audits (not_null(columns := (
      seller_id
    )), unique_values(columns := (
      seller_id
  )))
);

WITH landed AS (
  SELECT
    *
  FROM @BRONZE(
    catalogue,
    sellers,
    seller_id::TEXT,
    name::TEXT,
    city::TEXT,
    state::TEXT,
    zip_code::TEXT,
    commission::DECIMAL(9, 2)
  )
), ranked AS (
  SELECT
    *,
    @RECENCY(seller_id) AS recency
  FROM landed
)
SELECT
  seller_id::TEXT AS seller_id, /* The seller */
  name::TEXT AS name, /* Name, as written */
  city::TEXT AS city, /* City, as written */
  state::TEXT AS state, /* State, as written */
  zip_code::TEXT AS zip_code, /* Postal code, as written */
  commission::DECIMAL(9, 2) AS commission /* The shop's share of a sale, in percent */
FROM ranked
WHERE
  recency = 1
