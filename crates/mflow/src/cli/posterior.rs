//! `mflow posterior`: parameters of a simulator, given observed rows.
use super::exit::{Done, Usage};
use super::model::Opened;
use super::options::{FigureFormat, FittedOptions};
use super::output::{message, result, values};
use super::reading::PartOptions;
use super::{progress, threads};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use mflow::data::Prior;
use mflow::data::io::{Array, Dtype, write_npz};
use mflow::eval::mcmc::Lengths;
use mflow::eval::{ChainConfig, PosteriorSample, Sampler};
use mflow::figures::Format;
use mflow::train::Pool;
use mflow::{InferredSet, cycle, html};
use std::path::{Path, PathBuf};

/// Infer the parameters of a simulator: sample p(theta | observed rows) by MCMC
///
/// MODEL was fitted to simulated data with their parameters as the context, by `mflow fit x.npy --context
/// theta.npy`. All rows of a set are taken as independent draws at the same parameters. Prints a table of the
/// parameters and writes, for each set, posterior.npz, in double precision, with `samples` [chains, draws, P], `log_prob` [chains,
/// draws] (up to a constant), `r_hat` [P] and `ess` [P], and a corner plot; for all sets posterior.html.
///
/// Chains start at draws of the prior. They can be trusted if R-hat is at most 1.01 and the effective sample
/// size at least 400 for every parameter, and no draw diverged; a warning says what to do otherwise.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    mflow posterior run observed.npy --prior normal:0,1 --out posterior\n  \
    mflow posterior run observed.npy --prior uniform:-1,1 --prior normal:0,2 --names rate,scale --out posterior\n  \
    mflow posterior run all.npy --rows-per-set 20 --prior normal:0,1 --out posteriors    many sets in one file\n\n\
    In Python:\n  s = numpy.load('posterior/posterior.npz')['samples']; s.reshape(-1, s.shape[-1]).mean(0)")]
pub(super) struct Options {
    #[command(flatten)]
    model: FittedOptions,
    /// Observed rows, [n, D]: .npy, .npz, .csv, .tsv or .parquet; each file is a set of its own
    #[arg(value_name = "OBSERVED", required = true)]
    observed: Vec<PathBuf>,
    #[command(flatten)]
    part: PartOptions,
    /// Prior of a parameter: normal:MEAN,STD or uniform:LOW,HIGH; once for each, in the order of the context, or
    /// once for all
    #[arg(long, value_name = "PRIOR", required = true)]
    prior: Vec<Prior>,
    /// Cut each file into sets of N consecutive rows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rows_per_set: Option<u32>,
    /// Names of the parameters, separated by commas [default: `theta_1`, `theta_2`, ..]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    names: Vec<String>,
    /// True parameters, separated by commas, to mark in the figures
    #[arg(long, value_name = "THETA", value_delimiter = ',', allow_hyphen_values = true)]
    truth: Vec<f64>,
    /// How chains go from a point to the next
    #[arg(long, value_enum, default_value_t = SamplerName::Nuts)]
    sampler: SamplerName,
    /// Number of chains
    #[arg(long, value_name = "K", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    chains: u16,
    /// Draws of each chain that are kept
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(8..))]
    draws: u32,
    /// Draws before them that are forgotten; NUTS tunes its steps there
    #[arg(long, value_name = "N", default_value_t = 500)]
    burn_in: u32,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the results; files in it are overwritten
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    format: FigureFormat,
}

/// A sampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SamplerName {
    /// The no-U-turn sampler, by gradients: few draws, also of correlated parameters
    Nuts,
    /// Slice sampling, one parameter at a time and without gradients: for densities that are not smooth
    Slice,
}

impl From<SamplerName> for Sampler {
    fn from(name: SamplerName) -> Self {
        match name {
            SamplerName::Nuts => Self::Nuts,
            SamplerName::Slice => Self::Slice,
        }
    }
}

#[expect(clippy::indexing_slicing, reason = "counted by the sets")]
pub(super) fn run(options: &Options) -> Result<Done> {
    let opened = Opened::from_options(&options.model)?;
    let parameters = Parameters::new(options, &opened)?;
    let sets = observed_sets(options, &opened)?;
    let config = options.chains()?;
    if cycle::depends_on_encoder(opened.model()) {
        message(format_args!(
            "note: the likelihood of {} is exact only where its encoder inverts its decoder; see `mflow info`",
            opened.signature().name
        ));
    }
    let pool = threads::pool(options.model.threads)?;
    let infer = |index: usize| -> Result<InferredSet> {
        let set: &ObservedSet = &sets[index];
        let (model, seed) = (opened.model(), (options.seed, index));
        let sample = mflow::infer(model, &parameters.priors, &set.x, &config, seed, &pool)
            .with_context(|| set.title.clone())?;
        Ok(parameters.inferred(&set.title, config, sample))
    };
    let folders = Folders { out: &options.out, sets: sets.len() };
    let format = Format::from(options.format);
    let all = infer_all(&pool, sets.len(), infer, |index, set| {
        write_set(set, &folders.of(index), format)?;
        report(set, index, sets.len())
    })?;
    let page = html::write_posteriors(&all, &model_name(&options.model.model), &options.out)?;
    result(format_args!("\n{}", page.display()))?;
    Ok(Done::Finished)
}

/// `infer` of each set, as many at once as there are threads, and `finish` of each in order, so that what is done
/// stays done if a later one fails.
fn infer_all(
    pool: &Pool,
    sets: usize,
    infer: impl Fn(usize) -> Result<InferredSet> + Sync + Send,
    finish: impl Fn(usize, &InferredSet) -> Result<()>,
) -> Result<Vec<InferredSet>> {
    let bar = progress::of(sets, "sets");
    let mut all = Vec::with_capacity(sets);
    while all.len() < sets {
        let first = all.len();
        let some = pool.threads().min(sets - first);
        for (k, set) in pool.map(some, |k| infer(first + k)).into_iter().enumerate() {
            let set = set?;
            bar.suspend(|| finish(first + k, &set))?;
            bar.inc(1);
            all.push(set);
        }
    }
    bar.finish_and_clear();
    Ok(all)
}

/// What a run folder or a model file is called.
fn model_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

impl Options {
    fn chains(&self) -> Result<ChainConfig> {
        let (burn_in, draws) = (usize::try_from(self.burn_in)?, usize::try_from(self.draws)?);
        let lengths = Lengths { burn_in, draws };
        Ok(ChainConfig { sampler: self.sampler.into(), chains: self.chains.into(), lengths })
    }
}

/// What is known of the parameters before any data.
struct Parameters {
    names: Vec<String>,
    priors: Vec<Prior>,
    truth: Option<Vec<f64>>,
}

impl Parameters {
    /// Those of the options, if they fit the model.
    #[expect(clippy::indexing_slicing, reason = "as many names as parameters, as was checked")]
    fn new(options: &Options, opened: &Opened) -> Result<Self> {
        let (signature, path) = (opened.signature(), opened.path.display());
        let Some(count) = signature.context_dim else {
            bail!(
                "{path}: expected a model with a context, whose features are the parameters; found one without. Fit \
                 it with --context THETA, the parameters of each row"
            );
        };
        if signature.density.is_none() {
            bail!(
                "{path}: expected a model with a likelihood; found {}, which has no density of data. Fit another one, \
                 such as --model m-flow",
                signature.name
            );
        }
        let names = match options.names.as_slice() {
            [] => (1..=count).map(|k| format!("theta_{k}")).collect(),
            names => names.to_vec(),
        };
        let fits = |option: &str, found: usize, or: &str| match found == count {
            true => Ok(()),
            false => bail!(Usage(format!(
                "{option}: expected {count}, one for each context feature of {path}{or}; found {found}"
            ))),
        };
        fits("--names", names.len(), "")?;
        if let Some(k) = (0..count).find(|&k| names[k].is_empty() || names[..k].contains(&names[k]))
        {
            let found = &names[k];
            bail!(Usage(format!(
                "--names: expected names that differ from each other, found `{found}`"
            )));
        }
        let priors = match options.prior.as_slice() {
            [one] => vec![*one; count],
            priors => {
                fits("--prior", priors.len(), ", or 1 for all")?;
                priors.to_vec()
            }
        };
        let truth = (!options.truth.is_empty()).then(|| options.truth.clone());
        if let Some(truth) = &truth {
            fits("--truth", truth.len(), "")?;
            if let Some(found) = truth.iter().find(|value| !value.is_finite()) {
                bail!(Usage(format!("--truth: expected finite numbers, found {found}")));
            }
        }
        Ok(Self { names, priors, truth })
    }

    fn inferred(&self, title: &str, config: ChainConfig, sample: PosteriorSample) -> InferredSet {
        let Self { names, priors, truth } = self;
        let (title, names) = (title.to_owned(), names.clone());
        InferredSet { title, names, priors: priors.clone(), truth: truth.clone(), config, sample }
    }
}

/// Rows that were observed at the same parameters.
struct ObservedSet {
    title: String,
    /// `[n, D]`.
    x: Vec<f64>,
}

/// The sets of all files.
#[expect(
    clippy::integer_division_remainder_used,
    reason = "rows of a set are 1 or more, as the option asks"
)]
fn observed_sets(options: &Options, opened: &Opened) -> Result<Vec<ObservedSet>> {
    let mut sets = vec![];
    for path in &options.observed {
        let rows = opened.data(path, &options.part)?;
        let (count, dim) = rows.dims2()?;
        let x = values(&rows)?;
        let name = path.display();
        let Some(n) = options.rows_per_set else {
            sets.push(ObservedSet { title: name.to_string(), x });
            continue;
        };
        let n = usize::try_from(n)?;
        if !count.is_multiple_of(n) {
            bail!(Usage(format!(
                "{name}: expected a number of rows that --rows-per-set {n} divides, found {count}, which leaves {}. \
                 Take out the last rows, or choose another N",
                count % n
            )));
        }
        for (k, x) in x.chunks(n * dim).enumerate() {
            let title = format!("{name}, rows {} to {}", k * n, (k + 1) * n - 1);
            sets.push(ObservedSet { title, x: x.to_vec() });
        }
    }
    Ok(sets)
}

/// Where results go.
struct Folders<'a> {
    out: &'a Path,
    sets: usize,
}

impl Folders<'_> {
    /// The folder of a set: that of the results if it is the only one.
    fn of(&self, index: usize) -> PathBuf {
        if self.sets == 1 {
            return self.out.to_owned();
        }
        let width = self.sets.to_string().len();
        self.out.join(format!("set-{:0width$}", index + 1))
    }
}

/// Write draws and figure of a set.
fn write_set(set: &InferredSet, folder: &Path, format: Format) -> Result<()> {
    mflow::core::create_folder(folder)?;
    let sample = &set.sample;
    let [chains, draws, _] = sample.shape;
    let of_parameters = sample.parameters.iter();
    let (r_hat, ess): (Vec<f64>, Vec<f64>) =
        of_parameters.map(|of| (of.r_hat, of.effective_sample_size)).unzip();
    let arrays = [
        ("samples", Array::stack(sample.shape, &sample.samples, Dtype::F64)?),
        ("log_prob", Array::matrix(chains, draws, &sample.log_prob, Dtype::F64)?),
        ("r_hat", Array::vector(&r_hat, Dtype::F64)),
        ("ess", Array::vector(&ess, Dtype::F64)),
    ];
    write_npz(&folder.join("posterior.npz"), &arrays)?;
    Ok(set.draw(&folder.join("posterior").with_extension(format.ending()))?)
}

/// The table of a set, with warnings.
fn report(set: &InferredSet, index: usize, sets: usize) -> Result<()> {
    let title = match sets {
        1 => set.title.clone(),
        _ => format!("set {}: {}", index + 1, set.title),
    };
    let space = if index == 0 { "" } else { "\n" };
    result(format_args!("{space}{title}\n{set}"))?;
    for warning in set.warnings() {
        message(format_args!("warning: {title}: {warning}"));
    }
    Ok(())
}
