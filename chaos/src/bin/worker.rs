//! A worker process that a chaos test kills: see `sluice_chaos::worker`.

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    sluice_chaos::worker::main(&arguments)
}
