//! `mflow encode`: data to latents.
use super::evaluate::map_rows;
use super::exit::Done;
use super::model::Opened;
use super::options::ModelOptions;
use super::output::{OutFile, latent_names};
use super::reading::PartOptions;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Latents of points: data [B, D] to latents [B, N]
///
/// Under the model, latents have its base density: standard normal, or on a closed chart uniform angles. Of a
/// model of several charts, the last column is the number of the chart.
/// `mflow decode` takes them back to the projections of the points.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mflow encode run data.csv --out latents.npy")]
pub(super) struct Options {
    #[command(flatten)]
    model: ModelOptions,
    /// Points, [B, D]: .npy, .npz, .csv, .tsv or .parquet
    data: PathBuf,
    #[command(flatten)]
    part: PartOptions,
    /// File for the latents, [B, N], or with charts [B, N + 1]: .npy, .npz or .csv
    #[arg(long, value_parser = OutFile::array)]
    out: OutFile,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    options.out.check()?;
    let opened = Opened::from_options(&options.model.fitted)?;
    opened.check_generative("latents")?;
    let x = opened.rows(&options.data, &options.part, options.model.context.as_deref())?;
    let latents = map_rows(&opened, &options.model, &x, |model, x, c| model.encode(x, c))?;
    options.out.write(&latents, Some(&latent_names(opened.signature())))?;
    Ok(Done::Finished)
}
