//! A real warehouse: SQLMesh's state and its tables on PostgreSQL, which several workers use at
//! once.

mod conflicts;
mod database;
mod hazard;
mod shop;
