MODEL (
  name silver_commerce.quarantined_customers,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Customers that no later layer can use, with the reason; a row that is corrected at the source leaves.',
  depends_on (
    silver_commerce.customers
  ),
  grain customer_id,
  audits (
    not_null(columns := (customer_id, rejection_reason)),
    unique_values(columns := (
      customer_id
    )),
    every_row_is_kept(landed := bronze_commerce.customers, accepted := silver_commerce.customers)
  )
);

WITH checked AS (
  SELECT
    *
  FROM silver_commerce.checked_customers
)
SELECT
  customer_id::BIGINT AS customer_id, /* The customer */
  name::TEXT AS name, /* Full name */
  email::TEXT AS email, /* Electronic mail address in lower case; NULL where the shop holds no valid one */
  phone::TEXT AS phone, /* Telephone number */
  city::TEXT AS city, /* City */
  state::TEXT AS state, /* State, two letters; NULL where the shop holds no valid one */
  marketing_opt_in::BOOLEAN AS marketing_opt_in, /* Whether the customer agreed to be written to */
  signed_up_at::TIMESTAMP AS signed_up_at, /* When the customer signed up, UTC */
  signed_up_on::DATE AS signed_up_on, /* The business day of the sign-up */
  rejection_reason::TEXT AS rejection_reason /* Why the row is rejected, reasons joined by semicolons */
FROM checked
WHERE
  NOT rejection_reason IS NULL
