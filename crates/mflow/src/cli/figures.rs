//! `mflow figures`: finished runs of one experiment, side by side.
use super::exit::Done;
use super::options::Threads;
use super::output::result;
use super::threads;
use anyhow::Result;
use clap::{Args, ValueEnum};
use mflow::FinishedRun;
use mflow::figures::{self, Format};
use std::path::PathBuf;

/// Draw finished runs of one experiment side by side: losses, manifolds, densities, outliers, posteriors
///
/// Which figures there are depends on the simulator. Data, such as observed sets, are those of the first
/// run's seed. The figures of a run alone are in its folder.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mflow figures runs/pie runs/m-flow runs/ot --out comparison")]
pub(super) struct Options {
    /// Folders of `mflow run`, in the order of the figures
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// The folder for the figures; files in it are overwritten
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What to write
    #[arg(long, value_enum, default_value_t = FormatName::Png)]
    format: FormatName,
    #[command(flatten)]
    threads: Threads,
}

/// A format of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// Pixels
    Png,
    /// Lines and texts
    Svg,
}

impl From<FormatName> for Format {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Png => Self::Png,
            FormatName::Svg => Self::Svg,
        }
    }
}

pub(super) fn run(options: &Options) -> Result<Done> {
    let mut runs = Vec::with_capacity(options.runs.len());
    for folder in &options.runs {
        runs.push(FinishedRun::load(folder)?);
    }
    let pool = threads::pool(options.threads)?;
    for path in figures::draw_comparison(&runs, &pool, &options.out, options.format.into())? {
        result(format_args!("{}", path.display()))?;
    }
    Ok(Done::Finished)
}
