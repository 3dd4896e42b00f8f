MODEL (
  name silver_commerce.customers,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Customers, cleaned and conformed; rejected rows are in quarantined_customers.',
  grain customer_id,
  audits (
    not_null(columns := (customer_id, name, signed_up_at, signed_up_on)),
    unique_values(columns := (
      customer_id
    )),
    is_email("column" := email),
    is_state("column" := state)
  )
);

WITH checked AS (
  SELECT
    *
  FROM silver_commerce.checked_customers
)
SELECT
  customer_id::BIGINT AS customer_id, /* The customer */
  name::TEXT AS name, /* Full name #pii */
  email::TEXT AS email, /* Electronic mail address in lower case; NULL where the shop holds no valid one #pii */
  phone::TEXT AS phone, /* Telephone number #pii */
  city::TEXT AS city, /* City */
  state::TEXT AS state, /* State, two letters; NULL where the shop holds no valid one */
  marketing_opt_in::BOOLEAN AS marketing_opt_in, /* Whether the customer agreed to be written to */
  signed_up_at::TIMESTAMP AS signed_up_at, /* When the customer signed up, UTC */
  signed_up_on::DATE AS signed_up_on /* The business day of the sign-up */
FROM checked
WHERE
  rejection_reason IS NULL
