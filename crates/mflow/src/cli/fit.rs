//! `mflow fit`: train a model on a table.
use super::exit::{Done, Usage};
use super::options::{Place, Precision, Threads};
use super::output::{message, result};
use super::progress::Watch;
use super::run_folder::RunOptions;
use super::settings::{self, Setting};
use super::{input, interrupt, threads};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use mflow::bijectors::{FeatureAffineConfig, ParamStore};
use mflow::core::candle::{DType, Device};
use mflow::core::{MFlowConfig, ModelConfig, standardize};
use mflow::data::io::{Table, read_table};
use mflow::fit::{FitConfig, MODEL_FILE, fit};
use mflow::train::{Outcome, Phase, Rows, RunDir, TrainConfig};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Fit a model to a table: a manifold, and the density on it
///
/// Writes a run folder with the model file, the resolved config, the metrics of each epoch and a
/// checkpoint. Command-line options override the config file, `--set` overrides both. A tenth of
/// the rows is held out to choose the weights of the best epoch (`train.validation_fraction`).
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mflow fit data.csv --manifold-dim 2 --out run\n  \
    mflow fit data.npy --context theta.npy --manifold-dim 2 --epochs 200 --out run\n  \
    mflow fit data.npy --manifold-dim 2 --set model.outer.layers=8 --out run\n  \
    mflow fit data.npy --config run/config.toml --seed 2 --out other\n\n\
    After an interruption:\n  \
    mflow fit data.csv --resume auto --out run")]
pub(super) struct Options {
    /// Points to learn from, [rows, D]: .npy, .npz or .csv
    data: PathBuf,
    /// Context of each point, [rows, C]: the density then depends on it
    #[arg(long, value_name = "CTX")]
    context: Option<PathBuf>,
    /// Kind of model [default: m-flow]
    #[arg(long, value_enum)]
    model: Option<Kind>,
    /// Schedule of training [default: sequential]
    #[arg(long, value_enum)]
    schedule: Option<Schedule>,
    /// Dimension of the manifold, at least 1 and less than D; needed unless a config has it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    manifold_dim: Option<u32>,
    /// Epochs of all phases together [default: 100]
    #[arg(long, value_name = "E", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// Rows per update [default: 100]
    #[arg(long, value_name = "B", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,
    /// Learning rate at the start of each phase [default: 0.001]
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// Normalisation of data; results are in data units in any case [default: standardize]
    #[arg(long, value_enum)]
    normalize: Option<Normalize>,
    /// Let the manifold, not only the density on it, depend on the context
    #[arg(long, requires = "context")]
    conditional_manifold: bool,
    /// Config file with the tables [model] and [train], like the config.toml of a run
    #[arg(long, value_name = "F.toml")]
    config: Option<PathBuf>,
    /// Set a field of the config, like train.phases.0.epochs=20; again for more
    #[arg(long, value_name = "A.B=C", value_parser = Setting::parse)]
    set: Vec<Setting>,
    /// Seed of all random numbers [default: 0]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..1 << 63))]
    seed: Option<u64>,
    /// Precision of training [default: f32]
    #[arg(long, value_enum)]
    dtype: Option<Precision>,
    /// Where to compute
    #[arg(long, value_enum, default_value = "cpu")]
    device: Place,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    run: RunOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Manifold-learning flow with exact density (Brehmer & Cranmer 2020)
    MFlow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Schedule {
    /// First the manifold, then the density on it, half of the epochs each
    Sequential,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Normalize {
    /// Mean 0 and standard deviation 1 of each column
    Standardize,
    /// As they are
    None,
}

/// Epochs where nobody says how many.
const EPOCHS: usize = 100;

pub(super) fn run(options: &Options) -> Result<Done> {
    let Place::Cpu = options.device;
    let table = read_table(&options.data)?;
    let context =
        options.context.as_deref().map(|path| Ok::<_, anyhow::Error>((path, read_table(path)?)));
    let context = context.transpose()?;
    if let Some((path, context)) = &context
        && context.rows() != table.rows()
    {
        let (path, data) = (path.display(), options.data.display());
        bail!(
            "{path}: expected {} rows, as many as {data}, found {}",
            table.rows(),
            context.rows()
        );
    }
    let pool = threads::pool(options.threads)?;
    let mut config = resolve(options, &table, context.as_ref().map(|(_, table)| table))?;
    options.run.settle_shards(&mut config.train, &pool);
    check(options, &config, &table, context.as_ref())?;

    let columns = table.columns().map(<[String]>::to_vec);
    let provenance = provenance(options, &config, &table);
    let cols = table.cols();
    let context = context.map(|(_, table)| {
        let cols = table.cols();
        (table.into_values(), cols)
    });
    let data = Rows::new(table.into_values(), cols, context, config.dtype.into(), &Device::Cpu)?;
    let run = options.run.open(&config)?;
    let stop = interrupt::flag()?;
    let mut watch = Watch::new();
    let outcome = fit(&config, &data, columns, provenance, &run, &pool, &mut watch, &stop);
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
            summary(&run, &config)?;
            Ok(Done::Finished)
        }
    }
}

/// DATA and `--context` as they were given.
fn command_data(options: &Options) -> String {
    let context = options.context.as_ref().map(|c| format!(" --context {}", c.display()));
    format!("{}{}", options.data.display(), context.unwrap_or_default())
}

/// Defaults for these data, under the config file, under the options, under `--set`.
fn resolve(options: &Options, table: &Table, context: Option<&Table>) -> Result<FitConfig> {
    let earlier = || match options.manifold_dim {
        Some(_) => None,
        None => options.run.earlier_config(),
    };
    if table.cols() < 2 {
        let path = options.data.display();
        bail!("{path}: expected at least 2 columns, as a manifold has fewer dimensions; found 1");
    }
    let file = options.config.clone().or_else(earlier);
    let file = file.map_or(Ok(vec![]), |path| settings::read(&path))?;
    let is_dim = |setting: &Setting| setting.is_at("model.manifold_dim");
    if options.manifold_dim.is_none() && !file.iter().chain(&options.set).any(is_dim) {
        bail!(Usage(format!(
            "expected --manifold-dim N, the dimension of the manifold on which the data lie, from 1 \
             to {}; found none, and none in a config",
            table.cols().saturating_sub(1)
        )));
    }
    let model = MFlowConfig::new(table.cols(), 1)
        .with_context(context.map_or(0, Table::cols))
        .with_normalization(normalization(Normalize::Standardize, table)?);
    let defaults = FitConfig {
        seed: 0,
        dtype: mflow::fit::DTypeName::F32,
        model: ModelConfig::MFlow(model),
        train: schedule(Schedule::Sequential),
    };
    let mut config: FitConfig = settings::config(&settings::table(&defaults)?, &file)?;
    override_by_options(&mut config, options, table)?;
    if options.set.is_empty() {
        return Ok(config);
    }
    settings::config(&settings::table(&config)?, &options.set)
}

fn override_by_options(config: &mut FitConfig, options: &Options, table: &Table) -> Result<()> {
    config.seed = options.seed.unwrap_or(config.seed);
    config.dtype = options.dtype.map_or(config.dtype, Into::into);
    match (&mut config.model, options.model) {
        (ModelConfig::MFlow(model), None | Some(Kind::MFlow)) => {
            model.manifold_dim = count(options.manifold_dim, model.manifold_dim);
            model.conditional_manifold |= options.conditional_manifold;
            if let Some(normalize) = options.normalize {
                model.normalization = Some(normalization(normalize, table)?);
            }
        }
        (other, _) => bail!("`mflow fit` does not know the model {}", other.name()),
    }
    let train = &mut config.train;
    if let Some(name) = options.schedule {
        train.phases = schedule(name).phases;
    }
    if let Some(epochs) = options.epochs {
        spread(&mut train.phases, count(Some(epochs), 1));
    }
    for phase in &mut train.phases {
        phase.batch_size = count(options.batch_size, phase.batch_size);
        let rate = &mut phase.optimizer.learning_rate;
        *rate = options.learning_rate.unwrap_or(*rate);
    }
    Ok(())
}

fn count(option: Option<u32>, otherwise: usize) -> usize {
    option.map_or(otherwise, |n| usize::try_from(n).unwrap_or(usize::MAX))
}

fn schedule(name: Schedule) -> TrainConfig {
    match name {
        Schedule::Sequential => TrainConfig::sequential(EPOCHS),
    }
}

/// Divide `epochs` among the phases in the proportions that they have, at least one each.
fn spread(phases: &mut [Phase], epochs: usize) {
    let total: usize = phases.iter().map(|phase| phase.epochs).sum();
    let (mut before, mut given) = (0, 0);
    for phase in phases {
        before += phase.epochs;
        let until = (epochs * before).checked_div(total).unwrap_or(0).max(given + 1);
        phase.epochs = until - given;
        given = until;
    }
}

/// No normalisation is written as the map that changes nothing, so that a config can say it.
fn normalization(how: Normalize, table: &Table) -> Result<FeatureAffineConfig> {
    Ok(match how {
        Normalize::Standardize => standardize(table.values(), table.cols())?,
        Normalize::None => FeatureAffineConfig::new(vec![0.; table.cols()], vec![1.; table.cols()]),
    })
}

/// Refuse what cannot work before a folder is made for it.
fn check(
    options: &Options,
    config: &FitConfig,
    table: &Table,
    context: Option<&(&Path, Table)>,
) -> Result<()> {
    let dtype: DType = config.dtype.into();
    input::check_range(&options.data, table, dtype)?;
    if let ModelConfig::MFlow(model) = &config.model {
        input::check_columns(&options.data, table, model.data_dim, "`model.data_dim`")?;
        match (context, model.context_dim) {
            (Some((path, context)), c) => {
                input::check_columns(path, context, c, "`model.context_dim`")?;
                input::check_range(path, context, dtype)?;
            }
            (None, 0) => {}
            (None, c) => bail!(Usage(format!(
                "expected --context CTX, as `model.context_dim` is {c}; found none"
            ))),
        }
    }
    config.train.validate()?;
    config.model.build(&mut ParamStore::new(config.seed, dtype, &Device::Cpu), |_| false)?;
    Ok(())
}

/// Where the model comes from. Nothing here may differ between a run and the same run resumed.
fn provenance(options: &Options, config: &FitConfig, table: &Table) -> BTreeMap<String, String> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut provenance = BTreeMap::from([
        ("mflow".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("data".to_owned(), name(&options.data)),
        ("rows".to_owned(), table.rows().to_string()),
        ("seed".to_owned(), config.seed.to_string()),
    ]);
    if let Some(context) = &options.context {
        provenance.insert("context".to_owned(), name(context));
    }
    provenance
}

/// The model file and the best epoch of each phase.
fn summary(run: &RunDir, config: &FitConfig) -> Result<()> {
    result(format_args!("{}", run.file(MODEL_FILE).display()))?;
    let metrics = run.metrics()?;
    for Phase { name, epochs, .. } in &config.train.phases {
        let of_phase = metrics.iter().filter(|m| m.phase == *name);
        let best = of_phase.min_by(|a, b| a.validation_loss.total_cmp(&b.validation_loss));
        if let Some(best) = best {
            result(format_args!(
                "  {name}: {epochs} epochs, validation loss {:.4e} at its best, in epoch {}",
                best.validation_loss, best.epoch
            ))?;
        }
    }
    Ok(())
}
