MODEL (
  name silver_commerce.checked_customers,
  kind EMBEDDED,
  description 'Customers of Bronze, conformed and judged: the two tables beside it take the accepted and the rejected.',
  grain customer_id
);

WITH customers AS (
  SELECT
    *
  FROM bronze_commerce.customers
), conformed AS (
  SELECT
    customer_id,
    @TIDY(name) AS name,
    @EMAIL(email) AS email,
    @TIDY(phone) AS phone,
    @PLACE_NAME(city) AS city,
    @STATE(state) AS state,
    COALESCE(marketing_opt_in, FALSE) AS marketing_opt_in,
    @UTC(signed_up_at) AS signed_up_at,
    @BUSINESS_DATE(@UTC(signed_up_at)) AS signed_up_on,
    @REJECTION(
      @TIDY(name) IS NULL,
      'the name is missing',
      signed_up_at IS NULL,
      'the sign-up time is missing',
      signed_up_at > updated_at + INTERVAL '1' DAY,
      'the sign-up lies in the future'
    ) AS rejection_reason
  FROM customers
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
  rejection_reason::TEXT AS rejection_reason /* Why the row is rejected, reasons joined by semicolons; NULL where it is accepted */
FROM conformed
