//! Builds for other devices than the CPU, and what is measured on machines that have them.

mod cases;
pub(crate) mod check;
mod child;
mod driver;
pub(crate) mod dry;
mod machine;
mod opening;
mod pack;
pub(crate) mod page;
mod phases;
mod programs;
mod record;
mod rehearse;
mod run;
mod speed;
mod suite;
mod toolkit;
mod whole;

use anyhow::Result;
use clap::{Args, Subcommand};

/// Options of `cargo xtask device`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Builds for a machine with a GPU that has no Rust: programs and Python peers, in target/device
    Pack(pack::Options),
    /// Tests of the code for CUDA on the CPU, by a driver that computes there
    Rehearse(rehearse::Options),
    /// Tests, speeds and two whole runs on a device, in so many minutes, as records
    Run(run::Options),
    /// Writes docs/results/gpu.md from the records of a run
    Page(page::Options),
}

/// Does what the options ask for.
pub(crate) fn run(options: &Options) -> Result<()> {
    match &options.task {
        Task::Pack(options) => pack::run(options),
        Task::Rehearse(options) => rehearse::run(options),
        Task::Run(options) => run::run(options),
        Task::Page(options) => page::run(options),
    }
}
