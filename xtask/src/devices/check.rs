//! `cargo xtask check-devices`: the code for CUDA and Metal compiles. Nothing of it runs.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;
use clap::Args;

use super::programs::CUDA;
use super::toolkit::Toolkit;
use crate::number;
use crate::shell::{self, Lock};

/// The Macs that have Metal.
const MAC: &str = "aarch64-apple-darwin";

/// Options of `cargo xtask check-devices`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The Python whose pip installs the CUDA toolkit
    #[arg(long, default_value = "python3")]
    python: PathBuf,
}

/// Type-checks both features, each in a target folder of its own.
pub(crate) fn run(options: &Options) -> Result<()> {
    let timed = |what: &str, check: &dyn Fn() -> Result<()>| -> Result<()> {
        let start = Instant::now();
        check()?;
        println!("{what}: ok after {} s", number::seconds(start.elapsed().as_secs_f64()));
        Ok(())
    };
    let check = |what: &str, feature: &str, folder: &str| {
        let mut check = shell::cargo(&format!("check {what}"), Lock::Free);
        check.args(["--features", feature, "--target-dir", folder]);
        check
    };
    timed("cuda", &|| {
        let toolkit = Toolkit::install(&options.python)?;
        // In the profile of the programs for CUDA, so that candle's kernels are compiled once for both. NCCL needs CUDA.
        let mut check = check("--release -p mflow --all-targets", "nccl", CUDA);
        shell::run(toolkit.apply(&mut check))
    })?;
    timed("metal", &|| {
        shell::run(Command::new("rustup").args(["target", "add", MAC]))?;
        // All library crates; the allocator of the program is C, which only a Mac compiles for itself.
        shell::run(check("-p mflow-eval", "metal", "target/metal").args(["--target", MAC]))
    })
}
