//! The `mflow` program: fit manifold-learning flows to tables, and ask fitted models.
mod cli;

use clap::Parser;
use std::process::ExitCode;

/// Large blocks that are freed stay in the process: given back to the system, as by glibc, they would be
/// mapped and zeroed anew in every update.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli::threads::single_threaded_tensors() {
        Some(code) => code,
        None => cli::exit_code(cli.run()),
    }
}
