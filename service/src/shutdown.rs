//! How a process is told to end: in order, at once, or without looking back.
//!
//! Owns the signals. Refuses to know what ends how.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How a process is told to end. Each level fires those before it as well.
#[derive(Debug, Clone)]
pub struct Shutdown {
    /// Take on nothing new; what runs may end in order. The first SIGTERM or Ctrl-C.
    pub drain: CancellationToken,
    /// Stop what runs, and give it back. The second.
    pub cut: CancellationToken,
    /// Wait for nothing. The third.
    pub leave: CancellationToken,
}

impl Default for Shutdown {
    fn default() -> Self {
        let leave = CancellationToken::new();
        let cut = leave.child_token();
        Self { drain: cut.child_token(), cut, leave }
    }
}

impl Shutdown {
    /// One level for each SIGTERM or Ctrl-C that this process gets from now on.
    ///
    /// # Errors
    /// The system takes no handler.
    pub fn on_signals() -> std::io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = Self::default();
        let told = shutdown.clone();
        tokio::spawn(async move {
            let levels = [
                (&told.drain, "stopping: running jobs may end in order; once more ends them now"),
                (&told.cut, "stopping now: running jobs are cancelled and given back"),
                (&told.leave, "leaving: what is still there is left behind"),
            ];
            for (level, what) in levels {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                tracing::info!("{what}");
                level.cancel();
            }
        });
        Ok(shutdown)
    }
}

/// Completes with the first SIGTERM or Ctrl-C that this process gets from now on: for what has
/// nothing to end in order.
///
/// # Errors
/// The system takes no handler.
pub fn told_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_fires_those_before_it() {
        let fired = |s: &Shutdown| [&s.drain, &s.cut, &s.leave].map(|level| level.is_cancelled());
        let shutdown = Shutdown::default();
        shutdown.drain.cancel();
        assert_eq!(fired(&shutdown), [true, false, false]);
        shutdown.cut.cancel();
        assert_eq!(fired(&shutdown), [true, true, false]);
        let shutdown = Shutdown::default();
        shutdown.leave.cancel();
        assert_eq!(fired(&shutdown), [true, true, true]);
    }
}
