//! What this process keeps from the processes that it starts.

use nix::sys::prctl::set_dumpable;

/// Hides this process's memory and environment from others of the same user: the secrets in them
/// are then not in `/proc/<pid>/environ` and `/proc/<pid>/mem` for the project code that the bridge
/// runs (root, and whoever may trace any process, see them all the same). To be called once, at the
/// start.
///
/// # Errors
/// The kernel refuses, which Linux does not.
pub fn hide() -> std::io::Result<()> {
    set_dumpable(false).map_err(std::io::Error::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    #[test]
    fn a_hidden_process_is_not_dumpable() {
        super::hide().unwrap();
        assert!(!nix::sys::prctl::get_dumpable().unwrap());
    }
}
