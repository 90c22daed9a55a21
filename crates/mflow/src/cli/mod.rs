//! The command line: one file per verb, and what verbs share.
mod array;
mod data;
mod decode;
mod dim;
mod encode;
mod evaluate;
mod events;
mod exit;
mod fit;
mod fit_options;
mod geographic;
mod images;
mod import;
mod info;
mod input;
mod interrupt;
mod manual;
mod model;
mod on_disk;
mod options;
mod output;
mod plot;
mod posterior;
mod progress;
mod project;
mod ranks;
mod reading;
mod run;
mod run_folder;
mod sample;
mod scenes;
mod score;
mod score_stream;
mod scores;
#[cfg(feature = "serve")]
mod serve;
mod tables;
pub(crate) mod threads;
mod wbf;

use anyhow::Result;
use clap::{Parser, Subcommand};
use exit::Done;

pub(crate) use exit::exit_code;

/// Manifold-learning flows: learn a manifold and the density on it from a table of numbers
#[derive(Debug, Parser)]
#[command(
    name = "mflow",
    version,
    after_help = "A first session:\n  \
        mflow dim data.csv                               how many dimensions has the manifold?\n  \
        mflow fit data.csv --manifold-dim 2 --out run    choose a model and train it\n  \
        mflow info run                                   what it is and how exactly it inverts\n  \
        mflow score run data.csv --out scores.npz        density and distance of each row\n  \
        mflow sample run -n 1000 --out new.csv           new points\n\n\
        Files are .npy, .npz (the array `x`, or the only one), .csv, .tsv or .parquet, also .csv.gz; rows are points.\n\
        Images are rows too: of an .npy array, an idx file (as MNIST), or a folder of PNG and JPEG files.\n\
        Results go to the standard output, messages to the standard error.\n\
        Exit codes: 0 done, 1 failed, 2 bad usage, 130 interrupted with a checkpoint written."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// Say nothing but results, warnings and errors
    #[arg(long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    // By far the largest.
    Fit(Box<fit_options::Options>),
    Run(run::Options),
    Score(score::Options),
    Sample(sample::Options),
    Project(project::Options),
    Encode(encode::Options),
    Decode(decode::Options),
    Info(info::Options),
    Data(data::Options),
    Dim(dim::Options),
    Geographic(geographic::Options),
    Events(events::Options),
    Posterior(posterior::Options),
    Plot(plot::Options),
    Import(import::Options),
    #[cfg(feature = "serve")]
    Serve(serve::Options),
    Completions(manual::Completions),
    Man(manual::Man),
}

impl Cli {
    /// Do what was asked for.
    pub(crate) fn run(&self) -> Result<Done> {
        if self.quiet {
            output::be_quiet();
        }
        match &self.verb {
            Verb::Fit(options) => fit::run(options),
            Verb::Run(options) => run::run(options),
            Verb::Score(options) => score::run(options),
            Verb::Sample(options) => sample::run(options),
            Verb::Project(options) => project::run(options),
            Verb::Encode(options) => encode::run(options),
            Verb::Decode(options) => decode::run(options),
            Verb::Info(options) => info::run(options),
            Verb::Data(options) => data::run(options),
            Verb::Dim(options) => dim::run(options),
            Verb::Geographic(options) => geographic::run(options),
            Verb::Events(options) => events::run(options),
            Verb::Posterior(options) => posterior::run(options),
            Verb::Plot(options) => plot::run(options),
            Verb::Import(options) => import::run(options),
            #[cfg(feature = "serve")]
            Verb::Serve(options) => serve::run(options),
            Verb::Completions(options) => options.run(),
            Verb::Man(options) => options.run(),
        }
    }
}
