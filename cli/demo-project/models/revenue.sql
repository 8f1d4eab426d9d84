MODEL (
  name shop.revenue,
  kind FULL,
  grain ordered_on
);

SELECT
  ordered_on,
  SUM(amount) AS revenue
FROM shop.orders
GROUP BY
  ordered_on
