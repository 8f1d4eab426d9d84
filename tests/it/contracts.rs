//! What each port promises, asked of every adapter behind it. A fake without a contract is a lie.
//!
//! A suite knows an adapter only through its bench: the port, the passing of time, and what an
//! operator sees. A new adapter gets a bench and one line that names it.

mod engine;
mod github;
mod leases;
mod ledger;
mod pauses;
pub(crate) mod queue;

/// One test for each clause: `contract!(name of the adapter, how a bench is made, [clauses])`.
macro_rules! contract {
    ($adapter:ident, $bench:expr, [$($clause:ident),+ $(,)?]) => {
        mod $adapter {
            $(
                #[tokio::test]
                async fn $clause() {
                    super::clauses::$clause(&$bench).await;
                }
            )+
        }
    };
}
use contract;
