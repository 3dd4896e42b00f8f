MODEL (
  name silver_commerce.payments,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Payments, cleaned and conformed; rejected rows are in quarantined_payments.',
  grain payment_id,
  audits (
    not_null(columns := (payment_id, order_id, method, installments, amount, status, due_at)),
    unique_values(columns := (
      payment_id
    )),
    accepted_values("column" := method, is_in := ('credit_card', 'pix', 'boleto', 'voucher')),
    accepted_values("column" := status, is_in := ('pending', 'paid', 'failed', 'refunded')),
    refers_to("column" := order_id, target := silver_commerce.orders, key := order_id)
  )
);

WITH checked AS (
  SELECT
    *
  FROM silver_commerce.checked_payments
)
SELECT
  payment_id::BIGINT AS payment_id, /* The payment */
  order_id::BIGINT AS order_id, /* The order it pays for */
  method::TEXT AS method, /* How it is paid: credit_card, pix, boleto or voucher */
  installments::INT AS installments, /* Number of monthly parts */
  amount::DECIMAL(18, 2) AS amount, /* What is to be paid, in the shop's currency */
  status::TEXT AS status, /* Where the payment stands: pending, paid, failed or refunded */
  due_at::TIMESTAMP AS due_at, /* When it is due, UTC */
  paid_at::TIMESTAMP AS paid_at /* When it was paid, UTC; NULL when it was not */
FROM checked
WHERE
  rejection_reason IS NULL
