MODEL (
  name bronze_commerce.payments,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Payments of the orders, as last landed.',
  grain payment_id,
  audits (
    not_null(columns := (
      payment_id
    )),
    unique_values(columns := (
      payment_id
    ))
  )
);

WITH landed AS (
  SELECT
    *
  FROM @BRONZE(
    shop,
    payments,
    payment_id::BIGINT,
    order_id::BIGINT,
    method::TEXT,
    installments::INT,
    amount::DECIMAL(18, 2),
    status::TEXT,
    due_at::TIMESTAMPTZ,
    paid_at::TIMESTAMPTZ,
    updated_at::TIMESTAMPTZ
  )
), ranked AS (
  SELECT
    *,
    @RECENCY(payment_id, updated_at) AS recency
  FROM landed
)
SELECT
  payment_id::BIGINT AS payment_id, /* The payment */
  order_id::BIGINT AS order_id, /* The order it pays for */
  method::TEXT AS method, /* How it is paid, as the shop writes it */
  installments::INT AS installments, /* Number of monthly parts */
  amount::DECIMAL(18, 2) AS amount, /* What is to be paid, in the shop's currency */
  status::TEXT AS status, /* Where the payment stands, as the shop writes it */
  due_at::TIMESTAMPTZ AS due_at, /* When it is due */
  paid_at::TIMESTAMPTZ AS paid_at, /* When it was paid; NULL when it was not */
  updated_at::TIMESTAMPTZ AS updated_at /* When the shop last changed the row */
FROM ranked
WHERE
  recency = 1
