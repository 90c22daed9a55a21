//! `mflow plot`: a report on one run, or on several.
use super::exit::{Done, Usage};
use super::options::Threads;
use super::output::result;
use super::threads;
use anyhow::{Context, Result, bail};
use clap::Args;
use mflow::Finished;
use mflow::html;
use mflow::train::Pool;
use std::path::{Path, PathBuf};

/// Write a report on runs: report.html, a page with figures that turn and zoom
///
/// The page needs no network. Of one run it shows the learned manifold, metrics and learning curves; of
/// several it compares them, with medians over seeds. Runs are folders of `mflow fit` and `mflow run`,
/// which write the report on themselves when they end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mflow plot run                       writes run/report.html\n  \
    mflow plot runs/* --out comparison   writes comparison/report.html")]
pub(super) struct Options {
    /// Folders of finished runs
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Folder for the report [default: RUN, if it is one]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
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
    let runs = options.runs.iter().map(|run| Finished::load(run)).collect::<Result<_, _>>();
    let runs: Vec<Finished> = runs?;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let pool = threads::pool(options.threads)?;
    result(format_args!("{}", html::write_report(&runs, &pool, folder)?.display()))?;
    Ok(Done::Finished)
}

/// The report on a run that has just ended, in its own folder.
pub(super) fn report_on(folder: &Path, pool: &Pool) -> Result<()> {
    html::write_report(&[Finished::load(folder)?], pool, folder)?;
    Ok(())
}
