MODEL (
  name shop.orders,
  kind FULL,
  grain order_id
);

SELECT
  order_id,
  ordered_on,
  customer,
  amount
FROM shop.raw_orders
