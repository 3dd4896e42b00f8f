MODEL (
  name silver_commerce.checked_payments,
  kind EMBEDDED,
  description 'Payments of Bronze, conformed and judged: the two tables beside it take the accepted and the rejected.',
  grain payment_id
);

WITH payments AS (
  SELECT
    *
  FROM bronze_commerce.payments
), orders AS (
  SELECT
    order_id
  FROM silver_commerce.orders
), conformed AS (
  SELECT
    payment_id,
    order_id,
    LOWER(@TIDY(method)) AS method,
    installments,
    amount,
    LOWER(@TIDY(status)) AS status,
    @UTC(due_at) AS due_at,
    @UTC(paid_at) AS paid_at
  FROM payments
), judged AS (
  SELECT
    conformed.*,
    @REJECTION(
      orders.order_id IS NULL,
      'the order is unknown or rejected',
      @NOT_ONE_OF(conformed.method, 'credit_card', 'pix', 'boleto', 'voucher'),
      'the method is unknown',
      @NOT_ONE_OF(conformed.status, 'pending', 'paid', 'failed', 'refunded'),
      'the status is unknown',
      conformed.installments IS NULL OR conformed.installments <= 0,
      'the number of parts is not positive',
      conformed.amount IS NULL OR conformed.amount < 0,
      'the amount is missing or negative',
      conformed.due_at IS NULL,
      'the due time is missing',
      conformed.status IN ('paid', 'refunded') AND conformed.paid_at IS NULL,
      'it is paid, but not when'
    ) AS rejection_reason
  FROM conformed
  LEFT JOIN orders
    ON conformed.order_id = orders.order_id
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
  rejection_reason::TEXT AS rejection_reason /* Why the row is rejected, reasons joined by semicolons; NULL where it is accepted */
FROM judged
