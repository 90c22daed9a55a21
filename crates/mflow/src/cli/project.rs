//! `mflow project`: the nearest thing on the manifold.
use super::evaluate::{by_rows, warn_of_non_finite};
use super::exit::Done;
use super::model::Opened;
use super::options::ModelOptions;
use super::output::OutFile;
use super::threads;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Project points onto the manifold: data [B, D] to data [B, D]
///
/// The result is in data units, with the columns of the data.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mflow project run data.csv --out projected.csv")]
pub(super) struct Options {
    #[command(flatten)]
    model: ModelOptions,
    /// Points, [B, D]: .npy, .npz or .csv
    data: PathBuf,
    /// File for the projections, [B, D]: .npy, .npz or .csv
    #[arg(long, value_parser = OutFile::array)]
    out: OutFile,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    options.out.check()?;
    let opened = Opened::from_options(&options.model)?;
    let x = opened.data(&options.data)?;
    let context = opened.context(options.model.context.as_deref(), x.dim(0)?)?;
    let pool = threads::pool(options.model.threads)?;
    let model = opened.model();
    let projected = by_rows(&pool, &x, context.as_ref(), |x, c| model.project(x, c))?;
    warn_of_non_finite(&projected)?;
    options.out.write(&projected, opened.columns())?;
    Ok(Done::Finished)
}
