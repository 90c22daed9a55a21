//! `mflow decode`: latents to data.
use super::evaluate::map_rows;
use super::exit::Done;
use super::model::Opened;
use super::options::ModelOptions;
use super::output::OutFile;
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
    /// Latents as `mflow encode` writes them, [B, N]: .npy, .npz or .csv
    data: PathBuf,
    /// File for the points, [B, D]: .npy, .npz or .csv
    #[arg(long, value_parser = OutFile::array)]
    out: OutFile,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    options.out.check()?;
    let opened = Opened::from_options(&options.model.fitted)?;
    opened.check_generative("latents")?;
    let latents = opened.latents(&options.data)?;
    let context = opened.context(options.model.context.as_deref(), latents.dim(0)?)?;
    let latents = (latents, context);
    let points = map_rows(&opened, &options.model, &latents, |model, u, c| model.decode(u, c))?;
    options.out.write_points(&points, &opened.loaded.card)?;
    Ok(Done::Finished)
}
