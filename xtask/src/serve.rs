//! `cargo xtask serve`: a service under load, beside the library: docs/results/serve.md.

mod hostile;
mod load;
mod page;
mod service;

pub(crate) use service::Service;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use crate::provenance::Provenance;
use crate::shell::{self, Lock};

/// Where the model, bodies and scripts are.
const FOLDER: &str = "target/serve";
const PAGE: &str = "docs/results/serve.md";

/// Options of `cargo xtask serve`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Minutes of load while memory is watched
    #[arg(long, default_value_t = 60)]
    minutes: u32,
    /// Seconds of each measurement of speed
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Write the page
    #[arg(long)]
    save: bool,
}

/// Builds the program, fits a model, measures, and writes the page.
pub(crate) fn run(options: &Options) -> Result<()> {
    if Command::new("wrk").arg("--version").output().is_err() {
        bail!(
            "there is no `wrk` here, which makes the load; Debian and Ubuntu have a package of this name"
        );
    }
    let provenance = Provenance::here()?;
    let programs = service::Programs::built(shell::cargo(
        "build --release -p mflow --bin mflow --example throughput",
        Lock::Free,
    ))?;
    let folder = Path::new(FOLDER);
    service::fit(&programs, folder)?;
    let speeds = load::speeds(&programs, folder, options.seconds)?;
    let watched =
        load::watch(&programs, folder, Duration::from_secs(60 * u64::from(options.minutes)))?;
    page::show(&speeds, &watched);
    match options.save {
        true => page::write(Path::new(PAGE), &speeds, &watched, &provenance),
        false => Ok(()),
    }
}
