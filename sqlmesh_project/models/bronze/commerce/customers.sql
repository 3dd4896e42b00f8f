MODEL (
  name bronze_commerce.customers,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'People who signed up to the shop, as last landed.',
  grain customer_id,
  audits (
    not_null(columns := (
      customer_id
    )),
    unique_values(columns := (
      customer_id
    ))
  )
);

WITH landed AS (
  SELECT
    *
  FROM @BRONZE(
    shop,
    customers,
    customer_id::BIGINT,
    name::TEXT,
    email::TEXT,
    phone::TEXT,
    city::TEXT,
    state::TEXT,
    marketing_opt_in::BOOLEAN,
    signed_up_at::TIMESTAMPTZ,
    updated_at::TIMESTAMPTZ
  )
), ranked AS (
  SELECT
    *,
    @RECENCY(customer_id, updated_at) AS recency
  FROM landed
)
SELECT
  customer_id::BIGINT AS customer_id, /* The customer */
  name::TEXT AS name, /* Full name, as typed */
  email::TEXT AS email, /* Electronic mail address, as typed */
  phone::TEXT AS phone, /* Telephone number, as typed */
  city::TEXT AS city, /* City, as typed */
  state::TEXT AS state, /* State, as typed */
  marketing_opt_in::BOOLEAN AS marketing_opt_in, /* Whether the customer agreed to be written to */
  signed_up_at::TIMESTAMPTZ AS signed_up_at, /* When the customer signed up */
  updated_at::TIMESTAMPTZ AS updated_at /* When the shop last changed the row */
FROM ranked
WHERE
  recency = 1
