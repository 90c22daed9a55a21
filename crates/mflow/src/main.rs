//! The `mflow` program: fit manifold-learning flows to tables, and ask fitted models.
mod cli;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli::threads::single_threaded_tensors() {
        Some(code) => code,
        None => cli::exit_code(cli.run()),
    }
}
