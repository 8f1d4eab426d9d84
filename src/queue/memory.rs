//! Queue in memory.
