//! `mflow fit`: train a model on a table.
use super::choose::{self, Way};
use super::exit::{Done, Usage};
use super::model;
use super::options::{OtherPlace, Precision, Threads};
use super::output::{message, result};
use super::plot::report_on;
use super::progress::Watch;
use super::reading::Reading;
use super::run_folder::{RunOptions, keep_config};
use super::scores::ScoreOptions;
use super::settings::{self, Setting};
use super::tables::{Files, Numbers, Tables};
use super::{interrupt, threads};
use anyhow::{Result, bail};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use mflow::bijectors::FeatureAffineConfig;
use mflow::core::{ChartConfig, DeviceName, ModelConfig};
use mflow::cycle::{self, Cycle};
use mflow::fit::{DTypeName, Fit, FitConfig, MODEL_FILE, keep_points};
use mflow::train::{
    Attempt, KeptEpoch, Outcome, Pool, RowSource, RunDir, Schedule, Stage, TRIAL, kept_epochs,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Fit a model to a table: a manifold, and the density on it
///
/// If nothing names a model, short trials choose one that finds the manifold. `--model` alone leaves the start to trials.
///
/// Writes a run folder with the model file, the resolved config, the metrics of each epoch, a checkpoint
/// and report.html. Command-line options override the config file, `--set` overrides both. A tenth of
/// the rows is held out (`train.validation_fraction`): to watch the training, to judge the manifold, and in most phases to
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
    /// Points to learn from, [rows, D]: .npy, .npz, .csv, .tsv or .parquet. Of an .npz file with the arrays `x` and `theta`, the
    /// latter is the context; `score` has the joint scores for --scandal
    data: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// Context of each point, [rows, C]: the density then depends on it
    #[arg(long, value_name = "CTX")]
    context: Option<PathBuf>,
    #[command(flatten)]
    scores: ScoreOptions,
    /// What `ratio` learns from: for each point the log of its joint likelihood ratio, and a label, [rows, 2]
    ///
    /// The ratio is log p(x, z | CTX) - log p(x, z | reference), in nats, with the latent variables z of the simulator
    /// that drew the point; the label is 1 if it drew the point at CTX, 0 if at the reference. Draw half of the points
    /// each way. If you know no joint ratios, write 50 beside the label 1 and -50 beside 0: then the labels alone teach.
    #[arg(long, value_name = "RATIOS", requires = "context")]
    ratios: Option<PathBuf>,
    /// Read rows from DATA when they are needed, for data that do not fit in memory: .npy only
    #[arg(long)]
    stream: bool,
    /// Points to hold out, instead of a part of DATA
    #[arg(long, value_name = "DATA")]
    validation: Option<PathBuf>,
    /// Context of each point for validation
    #[arg(long, value_name = "CTX", requires = "validation")]
    validation_context: Option<PathBuf>,
    /// Ratios and labels of each point for validation
    #[arg(long, value_name = "RATIOS", requires = "validation")]
    validation_ratios: Option<PathBuf>,
    /// Kind of model [default: auto; m-flow beside a config, a chart, another schedule than sequential, or
    /// a `--set` for phases or parts of the model]
    #[arg(long, value_enum)]
    pub(super) model: Option<Kind>,
    /// Schedule of training [default: sequential; likelihood for af, fom, pie, vae, rif and ratio]
    #[arg(long, value_enum)]
    pub(super) schedule: Option<ScheduleName>,
    /// The shape that m-flow deforms onto the data, or the known manifold of fom; `auto` tries those of
    /// dimension N if the data seem closed or in pieces; other charts are tables of a config file,
    /// [model.chart]
    #[arg(long, value_parser = chart_names())]
    pub(super) chart: Option<String>,
    /// Where the manifold starts before it learns; without --model it is tried with free-form and m-flow
    /// [default: auto; none is added beside a config, a chart, another schedule than sequential, or a
    /// `--set` for phases]
    #[arg(long, value_enum)]
    pub(super) start: Option<StartName>,
    /// Dimension of the manifold, at least 1 and less than D; needed unless a config or a chart has it,
    /// or the model has no choice (af, fom, ratio)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    manifold_dim: Option<u32>,
    /// Epochs of all phases together, at least one of each [default: 100, of free-form
    /// models 300]
    #[arg(long, value_name = "E", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// If the manifold was not found, start again from other weights, up to K times [default: 0]
    #[arg(long, value_name = "K")]
    restarts: Option<u32>,
    /// Rows per update [default: 100]
    #[arg(long, value_name = "B", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,
    /// Learning rate at the start of each phase [default: 0.002 for a manifold, 0.005 for that of
    /// free-form, 0.003 for that of free-form-atlas, 0.001 for a density]
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// Normalisation of data; results are in data units in any case [default: standardize]
    #[arg(long, value_enum)]
    normalize: Option<Normalize>,
    /// Normalisation of the context; scores are with respect to it as it is given in any case [default: standardize]
    #[arg(long, value_enum)]
    normalize_context: Option<Normalize>,
    /// Let the manifold, not only the density on it, depend on the context
    #[arg(long, requires = "context")]
    pub(super) conditional_manifold: bool,
    /// Config file with the tables [model] and [train], like the config.toml of a run
    #[arg(long, value_name = "F.toml")]
    pub(super) config: Option<PathBuf>,
    /// Set a field of the config, like train.phases.0.epochs=20; again for more
    #[arg(long, value_name = "A.B=C", value_parser = Setting::parse)]
    pub(super) set: Vec<Setting>,
    /// Seed of all random numbers [default: 0]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..1 << 63))]
    seed: Option<u64>,
    /// Precision of training [default: f32]
    #[arg(long, value_enum)]
    dtype: Option<Precision>,
    #[command(flatten)]
    place: OtherPlace,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    pub(super) run: RunOptions,
}

impl Options {
    /// The model, if one is named.
    pub(super) fn model(&self) -> Option<Kind> {
        self.model.filter(|kind| *kind != Kind::Auto)
    }

    /// The chart, if one is named.
    pub(super) fn chart(&self) -> Option<&str> {
        self.chart.as_deref().filter(|chart| *chart != AUTO)
    }

    /// What may find a manifold that was not found.
    fn advice(&self) -> &'static str {
        if self.model().is_none() && self.start.is_none() {
            "more rows or epochs, another --seed or another --manifold-dim may find it"
        } else {
            "more rows or epochs may find it, or what trials choose if you leave out --model and --start"
        }
    }

    /// Whether neither an option nor a config says the dimension.
    pub(super) fn says_no_dimension(&self) -> bool {
        self.manifold_dim.is_none() && self.config.is_none()
    }

    /// These options on the resolved config of a run, which says all that they leave open. What shapes the phases is not
    /// read again: those of the config have that shape, and what was chosen besides.
    pub(super) fn continuing(&self, config: PathBuf) -> Self {
        let of_phases = |setting: &Setting| setting.is_under("train.phases");
        Self {
            config: Some(config),
            start: None,
            schedule: None,
            epochs: None,
            restarts: None,
            set: self.set.iter().filter(|setting| !of_phases(setting)).cloned().collect(),
            ..self.with(self.model(), self.chart())
        }
    }

    /// These options with another model and another chart.
    pub(super) fn with(&self, model: Option<Kind>, chart: Option<&str>) -> Self {
        Self { model, chart: chart.map(str::to_owned), ..self.clone() }
    }
}

/// The values of `--chart`: `auto`, and the charts that have a name.
fn chart_names() -> PossibleValuesParser {
    PossibleValuesParser::new([AUTO].into_iter().chain(ChartConfig::NAMES))
}

/// The value of `--chart` that leaves the choice to trials.
pub(super) const AUTO: &str = "auto";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// One of free-form, m-flow and, if the data seem closed or in pieces, free-form-atlas and m-flow on
    /// closed charts, that finds the manifold in a short trial
    Auto,
    /// Ambient flow: a density on all of R^D
    Af,
    /// Flow on a known manifold; --chart says which, or the config file, as [model.chart]
    Fom,
    /// Pseudo-invertible encoder: ambient density with a narrow direction across the manifold
    Pie,
    /// Manifold-learning flow with exact density (Brehmer & Cranmer 2020)
    MFlow,
    /// M-flows on several charts, for closed manifolds; 4, or as many as --set model.charts=K says
    Atlas,
    /// Manifold-learning flow with an encoder network
    MeFlow,
    /// Probabilistic autoencoder: networks, and a flow of their codes; no likelihood
    Pae,
    /// Encoder and decoder networks without constraint; the density is exact where they invert each other
    FreeForm,
    /// Free-form flows on several charts, for closed manifolds; 8, or as many as --set model.charts=K says
    FreeFormAtlas,
    /// Variational autoencoder; no likelihood
    Vae,
    /// Relaxed injective flow; no likelihood
    Rif,
    /// Estimator of likelihood ratios, for posteriors of the context: no manifold, no density, no samples. Needs
    /// --context and --ratios
    Ratio,
}

impl Kind {
    /// The defaults of the model. A known manifold has none: one stands for it until the config says.
    fn defaults(self, data_dim: usize) -> ModelConfig {
        match self {
            Self::Af => ModelConfig::af(data_dim),
            Self::Fom => {
                let (radius, center) = (1., vec![0.; data_dim]);
                ModelConfig::fom(ChartConfig::Hypersphere { dim: data_dim - 1, radius, center })
            }
            Self::Pie => ModelConfig::pie(data_dim, 1),
            Self::Auto | Self::MFlow => ModelConfig::m_flow(data_dim, 1),
            Self::Atlas => ModelConfig::atlas(data_dim, 1, 4),
            Self::MeFlow => ModelConfig::me_flow(data_dim, 1),
            Self::Pae => ModelConfig::pae(data_dim, 1),
            Self::FreeForm => ModelConfig::free_form(data_dim, 1),
            Self::FreeFormAtlas => ModelConfig::free_form_atlas(data_dim, 1, 8),
            Self::Vae => ModelConfig::vae(data_dim, 1),
            Self::Rif => ModelConfig::rif(data_dim, 1),
            Self::Ratio => ModelConfig::ratio(data_dim, 1),
        }
    }
    /// Whether the dimension of its manifold is to be chosen.
    fn has_choice(self) -> bool {
        !matches!(self, Self::Af | Self::Fom | Self::Ratio)
    }
    /// Whether it may have a chart.
    fn takes_chart(self) -> bool {
        matches!(self, Self::Fom | Self::MFlow | Self::Auto)
    }
}

/// A start by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum StartName {
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
pub(super) enum ScheduleName {
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
    /// As they are
    None,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    if options.ratios.is_some() && options.model().is_none() && options.config.is_none() {
        bail!(Usage(
            "expected --model ratio beside --ratios, as it alone learns from them".to_owned()
        ));
    }
    let reading = options.reading.options();
    let mut tables = Tables::read(&Files {
        reading: &reading,
        data: &options.data,
        context: options.context.as_deref(),
        scores: options.scores.scores.as_deref(),
        scores_option: "--scores",
        ratios: options.ratios.as_deref(),
        stream: options.stream,
    })?;
    let of_validation = |data| {
        Tables::read(&Files {
            reading: &reading,
            data,
            context: options.validation_context.as_deref(),
            scores: options.scores.validation_scores.as_deref(),
            scores_option: "--validation-scores",
            ratios: options.validation_ratios.as_deref(),
            stream: options.stream,
        })
    };
    let mut validation = options.validation.as_deref().map(of_validation).transpose()?;
    let pool = threads::pool(options.threads)?;
    let ways = choose::ways(options, &tables, &pool)?;
    for Way { config, .. } in &ways {
        tables.find_scores(config)?;
        tables.check(config)?;
        if let Some(validation) = &mut validation {
            validation.find_scores(config)?;
            validation.check(config)?;
            validation.check_names(&tables)?;
        }
        config.train.validate()?;
        config.model.check_precision(config.dtype.into())?;
    }
    let config = &ways[0].config;
    if config.model.needs_double() {
        message(format_args!(
            "computed in double precision: a column of the data or the context has a mean more than 1000 times its \
             deviation, and single precision would round its values away"
        ));
    }
    let columns = tables.data.columns().map(<[String]>::to_vec);
    let layout = tables.layout.clone();
    let provenance = provenance(options, config, &tables.data);
    let device = config.device.open(config.dtype.into())?;
    let data = tables.into_source(config, &device)?;
    let validation = validation.map(|tables| tables.into_source(config, &device)).transpose()?;
    let candidates = choose::candidates(ways, data.as_ref())?;
    let run = options.run.open()?;
    let stop = interrupt::flag()?;
    let Some((config, trials)) =
        choose::choose(candidates, data.as_ref(), validation.as_deref(), &pool, &stop)?
    else {
        message(format_args!(
            "interrupted before a model was chosen; nothing is lost but the trials: the same command starts anew"
        ));
        return Ok(Done::Interrupted);
    };
    // A run that was killed before its first checkpoint has its trials already.
    if !run.resumed() && options.run.earlier_config().is_none() {
        run.write_trials(&trials)?;
    }
    keep_config(&run, &config)?;
    let mut watch = Watch::new(options.advice());
    let fit = Fit {
        config: &config,
        data: data.as_ref(),
        validation: validation.as_deref(),
        columns,
        layout,
        provenance,
        run: &run,
        pool: &pool,
    };
    let outcome = fit.run(&mut watch, &stop);
    watch.close();
    match outcome? {
        Outcome::Interrupted => {
            message(format_args!(
                "interrupted; the checkpoint is written: go on with `mflow fit {} --resume auto \
                 --out {}`",
                command_data(options),
                run.path().display()
            ));
            Ok(Done::Interrupted)
        }
        Outcome::Finished => {
            keep_points(&run, data.as_ref())?;
            summary(&run, &config)?;
            say_how_exact(&run, data.as_ref(), &pool)?;
            report_on(run.path(), &device, &pool)?;
            Ok(Done::Finished)
        }
    }
}

/// DATA and what goes with it, as they were given.
fn command_data(options: &Options) -> String {
    let mut command = options.data.display().to_string();
    for (name, path) in [
        ("context", &options.context),
        ("scores", &options.scores.scores),
        ("ratios", &options.ratios),
        ("validation", &options.validation),
        ("validation-context", &options.validation_context),
        ("validation-scores", &options.scores.validation_scores),
        ("validation-ratios", &options.validation_ratios),
    ] {
        command +=
            &path.as_ref().map_or_else(String::new, |p| format!(" --{name} {}", p.display()));
    }
    command += &options.reading.command();
    command + if options.stream { " --stream" } else { "" }
}

/// Defaults for these data, under the config file, under the options, under `--set`.
pub(super) fn resolve(options: &Options, tables: &Tables) -> Result<FitConfig> {
    let table = &tables.data;
    let mut file = options.config.as_deref().map_or(Ok(vec![]), settings::read)?;
    let of_chart = |setting: &Setting| setting.is_under("model.chart");
    if options.chart.is_some() {
        file.retain(|setting| !of_chart(setting));
    }
    // The dimension and the flow of a chart's coordinates depend on it: it comes before all else.
    file.extend(options.set.iter().filter(|setting| of_chart(setting)).cloned());
    let all = || file.iter().chain(&options.set);
    let kind = kind(options, all())?;
    if table.cols() < 2 && kind != Kind::Ratio {
        let path = options.data.display();
        bail!("{path}: expected at least 2 columns, as a manifold has fewer dimensions; found 1");
    }
    let has_chart = options.chart.is_some() || file.iter().any(of_chart);
    if options.chart.is_some() && !kind.takes_chart() {
        return Err(no_chart());
    }
    let is_dim = |setting: &Setting| setting.is_at("model.manifold_dim");
    let has_dim = has_chart || options.manifold_dim.is_some() || all().any(is_dim);
    if kind.has_choice() && !has_dim {
        bail!(Usage(format!(
            "expected --manifold-dim N, the dimension of the manifold on which the data lie, from 1 \
             to {}; found none, and none in a config. To choose one, look at what `mflow dim {}` says",
            table.cols().saturating_sub(1),
            options.data.display()
        )));
    }
    let mut model = kind.defaults(table.cols()).with_context(tables.context_dim());
    if kind != Kind::Fom {
        model = model.with_normalization(normalization(Normalize::Standardize, table)?);
    } else if !has_chart {
        bail!(Usage(
            "expected --chart, or a config file with the table [model.chart], the manifold of `fom`; \
             found none"
                .to_owned()
        ));
    }
    if let Some(context) = tables.context() {
        let units = normalization(Normalize::Standardize, context)?;
        model = model.with_context_normalization(units);
    }
    let of_kind = FitConfig {
        seed: 0,
        dtype: DTypeName::of(&model),
        device: DeviceName::Cpu,
        train: Schedule::of(&model).config(&model, Schedule::default_epochs(&model))?,
        model,
    };
    let mut base = settings::table(&of_kind)?;
    if has_chart && let Some(model) = base.get_mut("model").and_then(toml::Value::as_table_mut) {
        // The chart says all of it.
        for field in ["chart", "manifold_dim", "inner"] {
            model.remove(field);
        }
        if let Some(chart) = options.chart.as_deref().and_then(ChartConfig::named) {
            model.insert("chart".to_owned(), toml::Value::try_from(chart)?);
        }
    }
    // A schedule by its name stands in the place of the default one.
    if file.iter().any(|setting| setting.is_at("train.schedule"))
        && let Some(train) = base.get_mut("train").and_then(toml::Value::as_table_mut)
    {
        train.remove("phases");
    }
    let mut config: FitConfig = settings::config(&base, &file)?;
    let units = |config: &FitConfig| {
        let sizes = &config.model.sizes;
        (sizes.manifold_dim, sizes.normalization.clone())
    };
    let of_file = units(&config);
    // Scores go beside the likelihoods of the schedule that an option may put in the place of the file's.
    let scandal = config.train.scandal.take();
    config.train.resolve(&config.model)?;
    override_by_options(&mut config, options, tables)?;
    config.train.scandal = options.scores.weight().or(scandal);
    config.train.resolve(&config.model)?;
    if !options.set.is_empty() {
        config = settings::config(&settings::table(&config)?, &options.set)?;
        config.train.resolve(&config.model)?;
    }
    // The charts of a run's config, and its frame, lie near its data, in units of its normalisation.
    if units(&config) != of_file {
        if !options.set.iter().any(|s| s.is_under("model.charts")) {
            config.model = config.model.without_places();
        }
        if config.model.sizes.frame.is_some() && options.start != Some(StartName::Flat) {
            bail!(Usage(
                "expected --start flat beside another dimension or normalisation, as the frame of the config is \
                 for those that it had; found none"
                    .to_owned()
            ));
        }
    }
    Ok(config)
}

/// That a chart was given to a model which takes none.
pub(super) fn no_chart() -> anyhow::Error {
    Usage("expected --chart for the models m-flow and fom only, found another".to_owned()).into()
}

/// The model that is asked for, in the option or in the settings.
fn kind<'a>(options: &Options, all: impl Iterator<Item = &'a Setting>) -> Result<Kind> {
    let named = all.filter_map(|s| Some((s, s.text_at("model.kind")?))).last();
    match (options.model(), named) {
        (Some(kind), _) => Ok(kind),
        (None, None) => Ok(Kind::Auto),
        (None, Some((setting, name))) => Kind::from_str(name, false).map_err(|_| {
            let known: Vec<String> = Kind::value_variants()
                .iter()
                .filter_map(|kind| Some(kind.to_possible_value()?.get_name().to_owned()))
                .collect();
            setting.error(&format!("expected one of `{}`, found `{name}`", known.join("`, `")))
        }),
    }
}

fn override_by_options(config: &mut FitConfig, options: &Options, tables: &Tables) -> Result<()> {
    config.seed = options.seed.unwrap_or(config.seed);
    config.dtype = options.dtype.map_or(config.dtype, Into::into);
    config.device = options.place.device.unwrap_or(config.device);
    let sizes = &mut config.model.sizes;
    sizes.manifold_dim = count(options.manifold_dim, sizes.manifold_dim);
    sizes.conditional_manifold |= options.conditional_manifold;
    if let Some(normalize) = options.normalize {
        sizes.normalization = Some(normalization(normalize, &tables.data)?);
    }
    if let Some(normalize) = options.normalize_context {
        let Some(context) = tables.context() else {
            bail!(Usage(
                "expected --normalize-context beside a context, found no context".to_owned()
            ));
        };
        sizes.context_normalization = Some(normalization(normalize, context)?);
    }
    if let Some(name) = options.schedule {
        let epochs = Schedule::default_epochs(&config.model);
        config.train.phases = Schedule::from(name).config(&config.model, epochs)?.phases;
    }
    let train = &mut config.train;
    if let Some(epochs) = options.epochs {
        spread(&mut train.phases, count(Some(epochs), 1));
    }
    if let Some(restarts) = options.restarts {
        train.set_restarts(count(Some(restarts), 0))?;
    }
    for phase in train.phases.iter_mut().flat_map(Stage::phases_mut) {
        phase.batch_size = count(options.batch_size, phase.batch_size);
        if let Some(rate) = options.learning_rate {
            phase.optimizer.set_learning_rate(rate);
        }
    }
    Ok(())
}

fn count(option: Option<u32>, otherwise: usize) -> usize {
    option.map_or(otherwise, |n| usize::try_from(n).unwrap_or(usize::MAX))
}

/// Divide `epochs` among the stages in the proportions that they have, at least one each; a cycle of an
/// alternation counts as many as one phase of it passes over the data, times the number of phases.
fn spread(stages: &mut [Stage], epochs: usize) {
    let weight = |stage: &Stage| match stage {
        Stage::Alternate(a) => a.alternate.iter().map(|phase| phase.epochs).sum(),
        _ => 1,
    };
    let total: usize = stages.iter().map(|stage| stage.rounds() * weight(stage)).sum();
    let (mut before, mut given) = (0, 0);
    for stage in stages {
        let each = weight(stage).max(1);
        before += stage.rounds() * each;
        let until = (epochs * before).checked_div(total).unwrap_or(0).max(given + each);
        *stage.rounds_mut() = ((until - given) / each).max(1);
        given = until;
    }
}

/// No normalisation is written as the map that changes nothing, so that a config can say it.
fn normalization(how: Normalize, table: &Numbers) -> Result<FeatureAffineConfig> {
    Ok(match how {
        Normalize::Standardize => table.standardize()?,
        Normalize::None => FeatureAffineConfig::new(vec![0.; table.cols()], vec![1.; table.cols()]),
    })
}

/// Where the model comes from. Nothing here may differ between a run and the same run resumed.
fn provenance(options: &Options, config: &FitConfig, table: &Numbers) -> BTreeMap<String, String> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut provenance = BTreeMap::from([
        ("mflow".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("data".to_owned(), name(&options.data)),
        ("rows".to_owned(), table.rows().to_string()),
        ("seed".to_owned(), config.seed.to_string()),
    ]);
    for (what, path) in [
        ("context", &options.context),
        ("scores", &options.scores.scores),
        ("ratios", &options.ratios),
    ] {
        provenance.extend(path.as_ref().map(|path| (what.to_owned(), name(path))));
    }
    provenance
}

/// Print the cycle error of a model whose density is exact only as far as its encoder inverts its decoder.
fn say_how_exact(run: &RunDir, data: &dyn RowSource, pool: &Pool) -> Result<()> {
    let opened = model::open(run.path(), None, data.device())?;
    if !cycle::depends_on_encoder(opened.model()) {
        return Ok(());
    }
    let context = match opened.signature().context_dim {
        Some(_) => {
            let rows = (0..cycle::SAMPLES).map(|i| i * data.rows() / cycle::SAMPLES);
            data.gather(&rows.collect::<Vec<_>>())?.context
        }
        None => None,
    };
    match Cycle::measure(opened.model(), context.as_ref(), cycle::SAMPLES, pool) {
        Ok(cycle) => result(format_args!("{cycle}")),
        // The fit is done; samples that are not finite do not undo it.
        Err(error) => {
            message(format_args!(
                "warning: how exactly the encoder inverts the decoder cannot be told: {error:#}"
            ));
            Ok(())
        }
    }
}

/// The model file, and the epoch of each phase whose weights are in it.
fn summary(run: &RunDir, config: &FitConfig) -> Result<()> {
    result(format_args!("{}", run.file(MODEL_FILE).display()))?;
    let (metrics, attempts) = (run.metrics()?, run.attempts()?);
    for kept in kept_epochs(&config.train, &metrics, &attempts) {
        let KeptEpoch { metrics, epochs } = &kept;
        result(format_args!(
            "  {}: {epochs} epochs, kept are the weights of epoch {}: validation loss {:.4e}",
            metrics.phase,
            kept.place(),
            metrics.validation_loss
        ))?;
    }
    let (trials, attempts): (Vec<Attempt>, Vec<Attempt>) =
        attempts.into_iter().partition(|a| a.stage == TRIAL);
    let seconds = |of: &[Attempt]| of.iter().map(|a| a.seconds).sum::<f64>();
    if let Some(chosen) = trials.iter().find(|trial| !trial.failed) {
        result(format_args!(
            "  chosen of {} by short trials, {:.0} s in all: {}",
            trials.len(),
            seconds(&trials),
            chosen.start.as_deref().unwrap_or_default()
        ))?;
    }
    if attempts.len() > 1 {
        let failed = attempts.iter().filter(|a| a.failed).count();
        result(format_args!(
            "  {} attempts at a manifold, {failed} failed, {:.0} s in all",
            attempts.len(),
            seconds(&attempts)
        ))?;
    }
    Ok(())
}
