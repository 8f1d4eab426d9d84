//! Leases in memory.
