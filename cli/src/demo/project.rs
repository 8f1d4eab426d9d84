//! The demo's SQLMesh project, and the changes that its people make to it.

use std::io;
use std::path::Path;

/// The files of the project, as `main` has them at the beginning.
const FILES: [(&str, &str); 6] = [
    ("config.yaml", include_str!("../../demo-project/config.yaml")),
    ("seeds/raw_orders.csv", include_str!("../../demo-project/seeds/raw_orders.csv")),
    ("models/raw_orders.sql", include_str!("../../demo-project/models/raw_orders.sql")),
    ("models/orders.sql", ORDERS),
    ("models/revenue.sql", REVENUE),
    ("tests/test_revenue.yaml", TEST),
];

const ORDERS: &str = include_str!("../../demo-project/models/orders.sql");
const REVENUE: &str = include_str!("../../demo-project/models/revenue.sql");
const TEST: &str = include_str!("../../demo-project/tests/test_revenue.yaml");

/// What prod says about revenue at the end of the story, day by day: day, revenue, orders.
/// Cancelled orders are left out and orders are counted: both changes are there, and nothing else.
pub(crate) const REVENUE_AT_THE_END: [(&str, i64, i64); 3] =
    [("2026-01-01", 200, 2), ("2026-01-02", 200, 1), ("2026-01-03", 40, 1)];

/// Writes the project into a folder; its warehouse is the DuckDB file `database`.
pub(crate) fn write(folder: &Path, database: &Path) -> io::Result<()> {
    let database = serde_json::Value::from(database.display().to_string()).to_string();
    for (path, text) in FILES {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text.replace("DATABASE_OF_THE_DEMO", &database))?;
    }
    Ok(())
}

/// A change to a file.
pub(crate) type Change = (&'static str, String);

/// Leaves cancelled orders out.
pub(crate) fn without_cancelled() -> Vec<Change> {
    vec![("models/orders.sql", where_clause("status <> 'cancelled'"))]
}

/// Keeps paid orders only: the same line of the same file as [`without_cancelled`].
pub(crate) fn only_paid() -> Vec<Change> {
    vec![("models/orders.sql", where_clause("status = 'paid'"))]
}

/// Counts the orders of a day, with a test of it.
pub(crate) fn with_order_count() -> Vec<Change> {
    vec![("models/revenue.sql", counted()), ("tests/test_revenue.yaml", counted_test())]
}

fn counted() -> String {
    REVENUE.replace("AS revenue", "AS revenue,\n  COUNT(*) AS orders")
}

fn counted_test() -> String {
    TEST.replace("revenue: 200", "revenue: 200\n          orders: 2")
}

/// Counts the customers of a day, after [`with_order_count`].
pub(crate) fn with_customers() -> Vec<Change> {
    let (model, test) = (counted(), counted_test());
    let count = "AS orders,\n  COUNT(DISTINCT customer) AS customers";
    let test = test.replace("orders: 2", "orders: 2\n          customers: 2");
    vec![
        ("models/revenue.sql", model.replace("AS orders", count)),
        ("tests/test_revenue.yaml", test),
    ]
}

/// Counts everything twice, which the test notices.
pub(crate) fn doubled() -> Vec<Change> {
    vec![("models/revenue.sql", REVENUE.replace("SUM(amount)", "SUM(amount) * 2"))]
}

fn where_clause(condition: &str) -> String {
    format!("{}WHERE\n  {condition}\n", ORDERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_changes_something() {
        for (path, text) in
            [without_cancelled(), only_paid(), with_order_count(), doubled()].concat()
        {
            let before = FILES.iter().find(|(name, _)| *name == path).map(|(_, text)| *text);
            assert!(before.is_some_and(|before| before != text), "{path}");
        }
    }
}
