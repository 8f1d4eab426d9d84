//! The `sluice-worker` binary.

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = sluice_worker::Arguments::parse();
    sluice_service::exit(sluice_worker::main(arguments).await)
}
