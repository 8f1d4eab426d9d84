//! What sluice keeps in Redis: leases, the ledger, pauses, processed deliveries.
//!
//! Owns the keys, the scripts and the connections. Refuses to decide anything: the truth can be
//! rebuilt without it.
