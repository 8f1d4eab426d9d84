MODEL (
  name shop.raw_orders,
  kind SEED (
    path '../seeds/raw_orders.csv'
  ),
  columns (
    order_id INTEGER,
    ordered_on DATE,
    customer TEXT,
    amount INTEGER,
    status TEXT
  ),
  grain order_id
);
