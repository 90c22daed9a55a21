//! `mflow run`: an experiment, from data to metrics.
use super::exit::Done;
use super::options::{OtherPlace, Threads};
use super::output::{message, result};
use super::plot::report_on;
use super::progress::Watch;
use super::run_folder::RunOptions;
use super::{interrupt, threads};
use anyhow::Result;
use clap::Args;
use mflow::experiment::ExperimentConfig;
use mflow::train::Pool;
use mflow::{Setting, experiment, with_settings};
use std::path::PathBuf;
use toml::Table;

/// Run an experiment: data, training, and metrics against the exact density or on held-out rows
///
/// The data are those of a simulator or a file. Writes a run folder like `mflow fit`, and result.json with
/// the metrics, which are also printed.
/// The folder's report.html shows them with the learned manifold.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    mflow run experiment.toml --set seed=2 --set train.phases.0.epochs=10 --out run")]
pub(super) struct Options {
    /// The experiment: `name` and the tables [data], [model], [train], [evaluation]
    #[arg(value_name = "EXPERIMENT.toml")]
    experiment: PathBuf,
    /// Set a field of the experiment, like data.rows=1000; again for more
    #[arg(long, value_name = "A.B=C", value_parser = super::fit_options::setting)]
    set: Vec<Setting>,
    #[command(flatten)]
    place: OtherPlace,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    run: RunOptions,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    let mut settings = Setting::of_file(&options.experiment)?;
    settings.extend(options.set.iter().cloned());
    let mut config: ExperimentConfig = with_settings(&Table::new(), &settings)?;
    config.device = options.place.device.unwrap_or(config.device);
    config.train.resolve(&config.model)?;
    let pool = threads::pool(options.threads)?;
    options.run.ranks.together(pool, |pool| train(options, config, &pool))
}

fn train(options: &Options, mut config: ExperimentConfig, pool: &Pool) -> Result<Done> {
    options.run.settle_shards(&mut config.train, pool);
    let device = config.device.open(config.dtype.into())?;
    let run = options.run.open_with(&config, pool)?;
    let stop = interrupt::flag()?;
    let mut watch = Watch::new("Try more rows or more epochs.", options.run.events(&run)?);
    let report = experiment::run(&config, &run, pool, &mut watch, &stop);
    watch.close();
    match report? {
        Some(report) => {
            result(format_args!("{report}"))?;
            report_on(run.path(), &device, pool)?;
            Ok(Done::Finished)
        }
        // The first process has the report.
        None if !pool.team().is_first() => Ok(Done::Finished),
        None => {
            message(format_args!(
                "interrupted; the checkpoint is written: go on with the same command and --resume \
                 auto"
            ));
            Ok(Done::Interrupted)
        }
    }
}
