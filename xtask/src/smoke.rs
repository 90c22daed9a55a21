//! CI's smoke run: the smallest reproduction, through the program, with bounds on what it finds.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::reproduce::{Experiment, Outcome};
use crate::shell::{self, Lock};
use crate::{built, files};

/// Runs preset `smoke` of the default experiment afresh and checks its `[assert]` bounds.
pub(crate) fn run() -> Result<()> {
    let experiment = Experiment::load("polynomial-surface")?;
    let model = experiment.model.first().context("the experiment has no [[model]]")?;
    let config = Path::new("target/smoke.toml");
    let out = Path::new("target/smoke");
    files::remove_folder(out)?;
    files::write(config, experiment.resolve("smoke", model, 1)?.as_bytes())?;
    let mut mflow = Command::new(built::programs(Lock::Locked)?.join("mflow"));
    shell::run(mflow.arg("run").arg(config).arg("--out").arg(out))?;

    let outcome = Outcome::load(out)?;
    let broken = outcome.beyond(&experiment.assert);
    ensure!(broken.is_empty(), "the smoke run missed its bounds: {}", broken.join("; "));
    println!("{} bounds hold", experiment.assert.len());
    Ok(())
}
