//! Repository automation: `cargo xtask ci`, `test`, `tidy`, `divisions`, `bench`, `reproduce`, `stability`,
//! `instability`, `collisions`, `dimension`, `fixtures`, `data`, `device`, `mpi`, `serve`, `sanitize`, `soak`, `streaming`,
//! `fuzz`, `python`, `check-devices`, `check-slurm` and `release`.
#![expect(clippy::print_stdout, reason = "a program whose reports are its standard output")]
#![allow(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a tool of developers, whose panics lose nothing"
)]

mod bench;
mod browser;
mod built;
mod check_slurm;
mod ci;
mod collisions;
mod data;
mod devices;
mod dimension;
mod divisions;
mod docs;
mod files;
mod fixtures;
mod fuzz;
mod instability;
mod metadata;
mod mpi;
mod number;
mod provenance;
mod python;
mod release;
mod reproduce;
mod sanitize;
mod serve;
mod shell;
mod smoke;
mod soak;
mod stability;
mod streaming;
mod table;
mod test;
mod tidy;
mod wheel;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Checks, benchmarks and reproduction runs of this repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Every check, cheapest first
    Ci(ci::Options),
    /// Unit, integration and documentation tests
    Test,
    /// The repository rules that no other tool knows
    Tidy,
    /// Divisions of integers in library code that may be by 0
    Divisions,
    /// Benchmarks, with a table of medians
    Bench(bench::Options),
    /// The runs behind the numbers in docs/results
    Reproduce(reproduce::Options),
    /// What `reproduce --slurm` has Slurm start: one run of those in this folder
    #[command(name = "slurm-task", hide = true)]
    Queued { folder: PathBuf },
    /// Runs of `reproduce --slurm` with a Slurm of its own: interrupted, started again, failed
    CheckSlurm,
    /// What round trips through deep flows lose, in f32 and f64: docs/results/stability.md
    Stability,
    /// What maximum likelihood alone does to a manifold: docs/results/instability.md
    Instability,
    /// What simulated collisions look like, and how fast they come: docs/results/collisions.md
    Collisions,
    /// Dimensions of known manifolds, by mflow and by scikit-dimension: docs/results/dimension.md
    Dimension(dimension::Options),
    /// The files that our code is compared with, from the Python packages nflows, geomloss and torch
    Fixtures(fixtures::Options),
    /// Real data sets from public packages; lists them without a name
    Data(data::Options),
    /// Tests and speeds on a GPU: builds for a machine that has one and no Rust, runs there, writes the page
    Device(devices::Options),
    /// Processes that train together: checks them, measures, writes docs/results/mpi.md
    Mpi,
    /// The unsafe code under Miri and the address sanitizer; needs a nightly toolchain, and Linux
    Sanitize(sanitize::Options),
    /// Kills, power cuts and disks that fail: runs end with the same bits, and docs/results/soak.md says how many
    Soak(soak::Options),
    /// Every reader under libFuzzer; writes docs/results/fuzz.md
    Fuzz(fuzz::Options),
    /// A service under load, beside the library; writes docs/results/serve.md
    Serve(serve::Options),
    /// Pages in headless Chromium: reports, posteriors and the explorer
    Browser,
    /// Time and memory of files that need not fit in memory; writes docs/results/streaming.md
    Streaming(streaming::Options),
    /// Type-checks the code for CUDA and Metal, without such devices
    CheckDevices(devices::check::Options),
    /// The Python package: its wheel, types and tests, in a virtual environment
    Python(wheel::Options),
    /// What must be true before the crates are published; publishes nothing
    Release(release::Options),
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    shell::enter_repository()?;
    match cli.command {
        Task::Ci(options) => ci::run(&options),
        Task::Test => test::run(shell::Lock::Free),
        Task::Tidy => tidy::run(),
        Task::Divisions => divisions::run(shell::Lock::Free),
        Task::Bench(options) => bench::run(&options),
        Task::Reproduce(options) => reproduce::run(&options),
        Task::Queued { folder } => reproduce::slurm_task(&folder),
        Task::CheckSlurm => check_slurm::run(),
        Task::Stability => stability::run(),
        Task::Instability => instability::run(),
        Task::Collisions => collisions::run(),
        Task::Dimension(options) => dimension::run(&options),
        Task::Fixtures(options) => fixtures::run(&options),
        Task::Data(options) => data::run(&options),
        Task::Device(options) => devices::run(&options),
        Task::Mpi => mpi::run(),
        Task::Sanitize(options) => sanitize::run(&options),
        Task::Soak(options) => soak::run(&options),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Serve(options) => serve::run(&options),
        Task::Browser => browser::run(shell::Lock::Free),
        Task::Streaming(options) => streaming::run(&options),
        Task::CheckDevices(options) => devices::check::run(&options),
        Task::Python(options) => wheel::run(&options, shell::Lock::Free),
        Task::Release(options) => release::run(&options),
    }
}
