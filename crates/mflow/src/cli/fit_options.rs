//! The options of `mflow fit`, and what they ask for.
use super::options::{OtherPlace, Precision, Threads};
use super::reading::Reading;
use super::run_folder::RunOptions;
use super::scores::ScoreOptions;
use anyhow::Result;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use mflow::Setting;
use mflow::core::ChartConfig;
use mflow::fit::{self, Ask, FitRequest, Kind};
use mflow::train::{Schedule, Start};
use std::path::PathBuf;

/// Fit a model to a table: a manifold, and the density on it
///
/// Without --model, the program tries several models for a short time and trains the best one.
///
/// The run folder gets the model, its config, the losses of each epoch, a checkpoint and report.html. Options override the config
/// file, and `--set` overrides both. A tenth of the rows is held out (`train.validation_fraction`) to watch the training and to
/// choose the best epoch.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  \
    mflow fit data.csv --manifold-dim 2 --out run\n  \
    mflow fit loop.csv --chart circle --out run\n  \
    mflow fit data.npy --context theta.npy --manifold-dim 2 --epochs 200 --out run\n  \
    mflow fit data.npy --context theta.npy --scores t.npy --scandal --manifold-dim 2 --out run\n  \
    mflow fit data.npy --context theta.npy --ratios ratios.npy --model ratio --out run\n  \
    mflow fit data.npy --manifold-dim 2 --set model.outer.layers=8 --out run\n  \
    mflow fit data.npy --config run/config.toml --seed 2 --out other\n\n\
    After an interruption:\n  \
    mflow fit data.csv --resume auto --out run")]
pub(super) struct Options {
    /// Points to learn from, [rows, D]: .npy, .npz, .csv, .tsv or .parquet
    ///
    /// An .npz file may hold the points as `x`, their context as `theta`, and joint scores for --scandal as `score`.
    pub(super) data: PathBuf,
    #[command(flatten)]
    pub(super) reading: Reading,
    /// Context of each point, [rows, C]: the density then depends on it
    #[arg(long, value_name = "CTX")]
    pub(super) context: Option<PathBuf>,
    #[command(flatten)]
    pub(super) scores: ScoreOptions,
    /// For --model ratio: the log of each point's joint likelihood ratio, and its label, [rows, 2]
    ///
    /// The ratio is log p(x, z | CTX) - log p(x, z | reference), in nats, with the latent variables z of the simulator
    /// that drew the point; the label is 1 if it drew the point at CTX, 0 if at the reference. Draw half of the points
    /// each way. If you know no joint ratios, write 50 beside the label 1 and -50 beside 0: then the labels alone teach.
    #[arg(long, value_name = "RATIOS", requires = "context")]
    pub(super) ratios: Option<PathBuf>,
    /// The weight of each row, [rows] or [rows, 1]: a file, or the name of a column of DATA
    ///
    /// A column of DATA is then no feature. A row of weight 3 counts as three equal rows, in training and in validation. Only ratios of weights matter. Negative weights,
    /// which some event generators make, keep their sign in likelihoods; the manifold is learned with their size. Some models and
    /// schedules cannot use weights and refuse them.
    #[arg(long, value_name = "W")]
    pub(super) weights: Option<PathBuf>,
    /// Leave DATA on disk and read rows when they are needed: for a .npy file larger than memory
    #[arg(long)]
    pub(super) stream: bool,
    /// Hold out these points, instead of a tenth of DATA
    #[arg(long, value_name = "DATA")]
    pub(super) validation: Option<PathBuf>,
    /// The context of each held-out point
    #[arg(long, value_name = "CTX", requires = "validation")]
    pub(super) validation_context: Option<PathBuf>,
    /// The weight of each held-out point
    #[arg(long, value_name = "W", requires = "validation")]
    pub(super) validation_weights: Option<PathBuf>,
    /// The ratio and label of each held-out point
    #[arg(long, value_name = "RATIOS", requires = "validation")]
    pub(super) validation_ratios: Option<PathBuf>,
    /// Keep this fraction of the rows out of the whole fit, and test the model on it at the end, 0 to 1
    ///
    /// Without it, the numbers at the end are those of the held-out rows by which epochs were chosen, which flatters them a little.
    #[arg(long, value_name = "FRACTION", value_parser = part, conflicts_with = "stream")]
    pub(super) holdout: Option<f64>,
    /// Kind of model [default: auto]
    ///
    /// With a config file, a chart, a schedule other than sequential or a `--set` for parts of the model or its phases, the default is
    /// m-flow.
    #[arg(long, value_parser = kinds())]
    model: Option<Ask<Kind>>,
    /// In which order parts of the model are trained [default: sequential; likelihood for af, fom, pie, vae, rif and ratio]
    #[arg(long, value_enum)]
    schedule: Option<ScheduleName>,
    /// For closed data: the shape that m-flow bends onto them, or the known manifold of fom
    ///
    /// `auto` tries the shapes of dimension N if the data seem closed or in pieces. A config file can name other charts, [model.chart].
    #[arg(long, value_parser = chart_names())]
    chart: Option<String>,
    /// Where the manifold starts before it learns [default: auto]
    ///
    /// Without --model, free-form and m-flow are tried with it. With a config file, a chart, a schedule other than sequential or a
    /// `--set` for phases, the default is what these say, and no start is added.
    #[arg(long, value_enum)]
    start: Option<StartName>,
    /// Dimension of the manifold, at least 1 and less than D; `auto` takes what `mflow dim` recommends
    ///
    /// It is needed, unless a config or a chart has it or the model has no choice (af, fom, ratio).
    #[arg(long, value_name = "N", value_parser = dimension)]
    manifold_dim: Option<Ask<usize>>,
    /// Epochs of all phases together, at least one of each [default: 100; free-form models: 300]
    #[arg(long, value_name = "E", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// If a fit has not found the manifold, start again from other weights, up to K times [default: 0]
    #[arg(long, value_name = "K")]
    restarts: Option<u32>,
    /// Rows per update [default: 100]
    #[arg(long, value_name = "B", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,
    /// Learning rate at the start of each phase [default: 0.002 for a manifold, 0.005 for that of
    /// free-form, 0.003 for that of free-form-atlas, 0.001 for a density]
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// How columns are scaled inside of the model; results are in data units [default: standardize; for images: together]
    #[arg(long, value_enum)]
    normalize: Option<Normalize>,
    /// How the context is scaled inside of the model; give it and read it unscaled [default: standardize]
    #[arg(long, value_enum)]
    normalize_context: Option<Normalize>,
    /// Let the manifold, not only the density on it, depend on the context
    #[arg(long, requires = "context")]
    conditional_manifold: bool,
    /// Config file with the tables [model] and [train], like the config.toml of a run
    #[arg(long, value_name = "F.toml")]
    config: Option<PathBuf>,
    /// Set a field of the config, like train.phases.0.epochs=20; again for more
    #[arg(long, value_name = "A.B=C", value_parser = setting)]
    set: Vec<Setting>,
    /// Seed of all random numbers [default: 0]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..1 << 63))]
    seed: Option<u64>,
    /// Precision of training [default: f32]
    #[arg(long, value_enum)]
    dtype: Option<Precision>,
    #[command(flatten)]
    place: OtherPlace,
    #[command(flatten)]
    pub(super) threads: Threads,
    #[command(flatten)]
    pub(super) run: RunOptions,
}

impl Options {
    /// What is asked for, with the config file read.
    pub(super) fn request(&self) -> Result<FitRequest> {
        let count = |option: Option<u32>| option.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        Ok(FitRequest {
            model: self.model(),
            chart: match self.chart.as_deref() {
                None => Ask::Nothing,
                Some(name) => ChartConfig::named(name).map_or(Ask::Auto, Ask::For),
            },
            start: self.start.map_or(Ask::Nothing, Into::into),
            manifold_dim: self.manifold_dim.unwrap_or_default(),
            conditional_manifold: self.conditional_manifold,
            normalize: self.normalize.map(Into::into),
            normalize_context: self.normalize_context.map(Into::into),
            schedule: self.schedule.map(Into::into),
            epochs: count(self.epochs),
            restarts: count(self.restarts),
            batch_size: count(self.batch_size),
            learning_rate: self.learning_rate,
            scandal: self.scores.weight(),
            seed: self.seed,
            dtype: self.dtype.map(Into::into),
            device: self.place.device,
            config: self.config.as_deref().map(Setting::of_file).transpose()?,
            set: self.set.clone(),
        })
    }

    /// The model, if one is named.
    fn model(&self) -> Option<Kind> {
        self.model.and_then(|model| model.value().copied())
    }

    /// What to try if the manifold was not found.
    pub(super) fn advice(&self) -> &'static str {
        if self.model().is_none() && self.start.is_none() {
            "Try more rows, more --epochs, another --seed or another --manifold-dim."
        } else {
            "Try more rows or more --epochs; or leave out --model and --start, and trials choose."
        }
    }
}

/// The value that leaves a choice to trials or to the data.
const AUTO: &str = "auto";

/// The values of `--chart`: `auto`, and the charts that have a name.
fn chart_names() -> PossibleValuesParser {
    PossibleValuesParser::new([AUTO].into_iter().chain(ChartConfig::NAMES))
}

/// The values of `--model`: `auto`, and the kinds by their names.
fn kinds() -> impl TypedValueParser<Value = Ask<Kind>> {
    let auto = PossibleValue::new(AUTO).help(
        "One of free-form, m-flow and, if the data seem closed or in pieces, free-form-atlas and m-flow on closed charts, \
         that finds the manifold in a short trial",
    );
    let kind = |kind: Kind| PossibleValue::new(kind.name()).help(kind.about());
    let all: Vec<PossibleValue> = [auto].into_iter().chain(Kind::ALL.map(kind)).collect();
    PossibleValuesParser::new(all).map(|name| Kind::named(&name).map_or(Ask::Auto, Ask::For))
}

/// The value of `--set`.
pub(super) fn setting(text: &str) -> Result<Setting, String> {
    text.parse()
}

/// The value of `--holdout`: a part of the rows.
fn part(text: &str) -> Result<f64, String> {
    let part: Option<f64> = text.parse().ok().filter(|part| *part > 0. && *part < 1.);
    part.ok_or_else(|| "expected a part of the rows, above 0 and below 1".to_owned())
}

/// The value of `--manifold-dim`: a number, or `auto`.
fn dimension(text: &str) -> Result<Ask<usize>, String> {
    match text.parse() {
        _ if text == AUTO => Ok(Ask::Auto),
        Ok(n) if n > 0 => Ok(Ask::For(n)),
        _ => Err("expected a number from 1, or `auto`, which asks the data".to_owned()),
    }
}

/// A start by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StartName {
    /// A start that finds the manifold in a short trial
    Auto,
    /// As the plane of principal components
    Flat,
    /// Guided by distances along the manifold, from a graph of neighbours
    Unrolled,
    /// Guided by the codes of an autoencoder
    Autoencoder,
    /// At random weights
    Random,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ScheduleName {
    /// First the manifold, then the density on it, half of the epochs each; of free-form models four fifths for the
    /// manifold
    Sequential,
    /// Manifold and density in turns, epoch by epoch
    Alternating,
    /// Manifold; then manifold and exact likelihood together; then density
    Simultaneous,
    /// Sinkhorn divergence between data and samples
    Ot,
    /// Sinkhorn divergence and density in turns
    OtAlternating,
    /// Likelihood alone, or what stands for it in a model without one
    Likelihood,
}

impl From<StartName> for Ask<Start> {
    fn from(name: StartName) -> Self {
        match name {
            StartName::Auto => Self::Auto,
            StartName::Flat => Self::For(Start::Flat),
            StartName::Unrolled => Self::For(Start::Unrolled),
            StartName::Autoencoder => Self::For(Start::Autoencoder),
            StartName::Random => Self::For(Start::Random),
        }
    }
}

impl From<ScheduleName> for Schedule {
    fn from(name: ScheduleName) -> Self {
        match name {
            ScheduleName::Sequential => Self::Sequential,
            ScheduleName::Alternating => Self::Alternating,
            ScheduleName::Simultaneous => Self::Simultaneous,
            ScheduleName::Ot => Self::Ot,
            ScheduleName::OtAlternating => Self::OtAlternating,
            ScheduleName::Likelihood => Self::Likelihood,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Normalize {
    /// Mean 0 and standard deviation 1 of each column
    Standardize,
    /// The same mean and deviation for all columns, as for pixels of images
    Together,
    /// As they are
    None,
}

impl From<Normalize> for fit::Normalize {
    fn from(normalize: Normalize) -> Self {
        match normalize {
            Normalize::Standardize => Self::Standardize,
            Normalize::Together => Self::Together,
            Normalize::None => Self::None,
        }
    }
}
