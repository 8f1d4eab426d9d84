//! The two chores behind `cargo xtask`: making the slice, and telling what was covered.
#![allow(clippy::print_stdout, reason = "a chore talks to its terminal")]

use std::path::Path;

use sluice_conformance::{Coverage, slice};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["slice", from, to] => slice::make(Path::new(from), Path::new(to)),
        ["table", folder] => {
            let coverage = Coverage::read(Path::new(folder))?;
            println!("{}", coverage.table());
            let missing = coverage.missing();
            anyhow::ensure!(
                missing.is_empty(),
                "not covered by any test:\n  {}",
                missing.join("\n  ")
            );
            Ok(())
        }
        _ => anyhow::bail!("usage: slice PACKAGES DESCRIPTIONS | table FOLDER"),
    }
}
