//! `mflow decode`: latents to data.
use super::evaluate::{by_rows, warn_of_non_finite};
use super::exit::Done;
use super::model::Opened;
use super::options::ModelOptions;
use super::output::OutFile;
use super::threads;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Points of the manifold from latents: latents [B, N] to data [B, D]
///
/// The result is in data units, with the columns of the data.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mflow decode run latents.npy --out points.csv")]
pub(super) struct Options {
    #[command(flatten)]
    model: ModelOptions,
    /// Latents, [B, N]: .npy, .npz or .csv
    data: PathBuf,
    /// File for the points, [B, D]: .npy, .npz or .csv
    #[arg(long, value_parser = OutFile::array)]
    out: OutFile,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    options.out.check()?;
    let opened = Opened::from_options(&options.model)?;
    let latents = opened.latents(&options.data)?;
    let context = opened.context(options.model.context.as_deref(), latents.dim(0)?)?;
    let pool = threads::pool(options.model.threads)?;
    let model = opened.model();
    let points = by_rows(&pool, &latents, context.as_ref(), |u, c| model.decode(u, c))?;
    warn_of_non_finite(&points)?;
    options.out.write(&points, opened.columns())?;
    Ok(Done::Finished)
}
