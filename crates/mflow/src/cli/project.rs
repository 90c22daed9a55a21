//! `mflow project`: the nearest thing on the manifold.
use super::evaluate::map_rows;
use super::exit::Done;
use super::model::Opened;
use super::options::ModelOptions;
use super::output::OutFile;
use super::reading::PartOptions;
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
    /// Points, [B, D]: .npy, .npz, .csv, .tsv or .parquet
    data: PathBuf,
    #[command(flatten)]
    part: PartOptions,
    /// File for the projections, [B, D]: .npy, .npz or .csv
    #[arg(long, value_parser = OutFile::array)]
    out: OutFile,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    options.out.check()?;
    let opened = Opened::from_options(&options.model.fitted)?;
    opened.check_generative("manifold")?;
    let x = opened.rows(&options.data, &options.part, options.model.context.as_deref())?;
    let projected = map_rows(&opened, &options.model, &x, |model, x, c| model.project(x, c))?;
    options.out.write_points(&projected, &opened.loaded.card)?;
    Ok(Done::Finished)
}
