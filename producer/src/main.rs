//! The `sluice-producer` binary.

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = sluice_producer::Arguments::parse();
    sluice_service::exit(sluice_producer::main(arguments).await)
}
