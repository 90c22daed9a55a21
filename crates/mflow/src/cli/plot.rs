//! `mflow plot`: a report on one run, or on several.
use super::exit::{Done, Usage};
use super::options::{FigureFormat, Place, Threads};
use super::output::result;
use super::threads;
use anyhow::{Result, bail};
use clap::Args;
use mflow::core::candle::{DType, Device};
use mflow::figures;
use mflow::html;
use mflow::train::Pool;
use mflow::{Finished, FinishedRun};
use std::path::{Path, PathBuf};

/// Write a report on runs: report.html, a page with figures that turn and zoom
///
/// The page needs no network. Of one run it shows the learned manifold, metrics and learning curves; of
/// several it compares them, with medians over seeds. Several runs of one experiment get figures side by
/// side as well: losses, manifolds, densities, outliers, posteriors, as the simulator allows, on the data
/// of the first run's seed. Runs are folders of `mflow fit` and `mflow run`, which write the report on
/// themselves, and figures, when they end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mflow plot run                       writes run/report.html\n  \
    mflow plot runs/* --out comparison   writes comparison/report.html, and figures beside it")]
pub(super) struct Options {
    /// Folders of finished runs
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Folder for the report and the figures; files in it are overwritten [default: RUN, if it is one]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    format: FigureFormat,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    threads: Threads,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    let folder = match (&options.out, options.runs.as_slice()) {
        (Some(out), _) => out,
        (None, [run]) => run,
        (None, runs) => bail!(Usage(format!(
            "expected --out DIR, a folder for the report on {} runs; found none",
            runs.len()
        ))),
    };
    let device = options.place.device.open(DType::F32)?;
    let mut runs = Vec::with_capacity(options.runs.len());
    for run in &options.runs {
        runs.push(Finished::load(run, &device)?);
    }
    mflow::core::create_folder(folder)?;
    let pool = threads::pool(options.threads)?;
    let experiments: Vec<&FinishedRun> = runs.iter().filter_map(Finished::experiment).collect();
    if experiments.len() == runs.len() && runs.len() > 1 {
        for path in figures::draw_comparison(&experiments, &pool, folder, options.format.into())? {
            result(format_args!("{}", path.display()))?;
        }
    }
    result(format_args!("{}", html::write_report(&runs, &pool, folder)?.display()))?;
    Ok(Done::Finished)
}

/// The report on a run that has just ended, in its own folder.
pub(super) fn report_on(folder: &Path, device: &Device, pool: &Pool) -> Result<()> {
    html::write_report(&[Finished::load(folder, device)?], pool, folder)?;
    Ok(())
}
