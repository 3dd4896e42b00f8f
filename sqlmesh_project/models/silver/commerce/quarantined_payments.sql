MODEL (
  name silver_commerce.quarantined_payments,
  kind CUSTOM (
    materialization 'changed_rows'
  ),
  description 'Payments that no later layer can use, with the reason; a row that is corrected at the source leaves.',
  depends_on (
    silver_commerce.payments
  ),
  grain payment_id,
  audits (
    not_null(columns := (payment_id, rejection_reason)),
    unique_values(columns := (
      payment_id
    )),
    every_row_is_kept(landed := bronze_commerce.payments, accepted := silver_commerce.payments)
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
  paid_at::TIMESTAMP AS paid_at, /* When it was paid, UTC; NULL when it was not */
  rejection_reason::TEXT AS rejection_reason /* Why the row is rejected, reasons joined by semicolons */
FROM checked
WHERE
  NOT rejection_reason IS NULL
