MODEL (
  name silver_commerce.checked_sellers,
  kind EMBEDDED,
  description 'Sellers of Bronze, conformed and judged: the two tables beside it take the accepted and the rejected.',
  grain seller_id
);

WITH sellers AS (
  SELECT
    *
  FROM bronze_commerce.sellers
), conformed AS (
  SELECT
    seller_id,
    @TIDY(name) AS name,
    @PLACE_NAME(city) AS city,
    @STATE(state) AS state,
    @TIDY(zip_code) AS zip_code,
    commission,
    @REJECTION(
      @TIDY(name) IS NULL,
      'the name is missing',
      commission < 0 OR commission > 100,
      'the commission is no percentage'
    ) AS rejection_reason
  FROM sellers
)
SELECT
  seller_id::TEXT AS seller_id, /* The seller */
  name::TEXT AS name, /* Name */
  city::TEXT AS city, /* City */
  state::TEXT AS state, /* State, two letters; NULL where the catalogue holds no valid one */
  zip_code::TEXT AS zip_code, /* Postal code */
  commission::DECIMAL(9, 2) AS commission, /* The shop's share of a sale, in percent */
  rejection_reason::TEXT AS rejection_reason /* Why the row is rejected, reasons joined by semicolons; NULL where it is accepted */
FROM conformed
