//! How near the posteriors of a model are to the true ones.
use super::Evaluated;
use super::posterior_kl::posterior_kl;
use crate::mcmc::{Lengths, Metropolis, Tabulated, Target, sample_chains};
use crate::statistics::{Sample, kde_log_prob, median_distance, scott, squared_mmd};
use crate::{Error, Posterior, Result, TruePosterior};
use mflow_bijectors::Stream;
use mflow_data::wbf::WeakBosonFusion;
use mflow_data::{Prior, Simulator};

/// What observed sets and chains are like.
#[derive(Clone, Debug, PartialEq)]
pub struct PosteriorConfig {
    /// The parameters that sets are drawn at, in turns; none for the default parameters of the simulator.
    pub truths: Vec<Vec<f64>>,
    /// Chains of each posterior.
    pub chains: usize,
    /// Width of the kernel of the density at the truth; none for Scott's.
    pub bandwidth: Option<f64>,
    /// Observed sets.
    pub sets: usize,
    /// Rows of each.
    pub rows: usize,
    /// Draws at the start of a chain that are forgotten.
    pub burn_in: usize,
    /// Draws that are kept.
    pub draws: usize,
    /// Standard deviation of Metropolis' steps.
    pub step: f64,
}

impl Default for PosteriorConfig {
    /// As published for the polynomial surface, but for the number of sets, which was 1.
    fn default() -> Self {
        Self {
            truths: vec![],
            chains: 1,
            bandwidth: None,
            sets: 20,
            rows: 20,
            burn_in: 100,
            draws: 5000,
            step: 0.15,
        }
    }
}

impl PosteriorConfig {
    /// As published for collisions, but for the number of sets, which was 3.
    #[must_use]
    pub fn collisions(sets: usize) -> Self {
        let truths = WeakBosonFusion::TRUTHS.map(|theta| theta.to_vec()).to_vec();
        let (chains, draws, burn_in, bandwidth) = (4, 2500, 500, Some(0.15));
        Self { truths, sets, chains, draws, burn_in, bandwidth, ..Self::default() }
    }

    /// The truths; where none are given, the default parameters of the simulator.
    pub(super) fn truths_of(&self, simulator: &dyn Simulator) -> Vec<Vec<f64>> {
        match self.truths.is_empty() {
            true => vec![simulator.default_parameters()],
            false => self.truths.clone(),
        }
    }
}

/// What each observed set says of the posteriors.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Posteriors {
    /// Squared maximum mean discrepancy between draws of the model's posterior and of the true one.
    pub mmd: Vec<f64>,
    /// The same between two chains of the true one: what no model can fall below but by chance.
    pub mmd_floor: Vec<f64>,
    /// Kullback-Leibler divergence of the model's posterior from the true one, in nats, of one or two parameters: by tables
    /// that hold both.
    pub kl: Vec<f64>,
    /// The same of the true posterior integrated anew, where it is integrated by chance; empty elsewhere.
    pub kl_floor: Vec<f64>,
    /// Log-density of the model's posterior at the truth, in nats, by a Gaussian kernel density of its draws.
    pub log_posterior: Vec<f64>,
    /// The same of the true posterior. No bound: all sets are drawn at one parameter, so a posterior that
    /// leans towards it has more.
    pub log_posterior_of_truth: Vec<f64>,
}

/// Points of the table of a density of one parameter.
pub(super) const TABLE: usize = 1001;

/// What chains sample: the target itself, or its table where it has one parameter.
fn sampled<'a>(target: impl Target + 'a, prior: &[Prior]) -> Result<Box<dyn Target + 'a>> {
    match prior {
        [prior] => Ok(Box::new(Tabulated::new(&target, prior, TABLE)?)),
        _ => Ok(Box::new(target)),
    }
}

/// The observed set of the number `set`: `rows` rows of data at the parameters `theta`, `[rows, D]`.
///
/// # Errors
/// If the simulator cannot draw them.
pub fn observed_set(
    simulator: &dyn Simulator,
    theta: &[f64],
    rows: usize,
    seed: u64,
    set: usize,
) -> Result<Vec<f64>> {
    let mut stream = Stream::new(seed, &format!("observed set {set}"));
    Ok(simulator.sample(rows, &theta.repeat(rows), &mut stream)?)
}

/// Draw observed sets at the parameters of the config, sample the posteriors of the model and of the truth from
/// chains that start at the truth, and compare them with a Gaussian kernel whose scale is the median
/// distance of the true draws: Brehmer & Cranmer (2020), section 4.B.
///
/// # Errors
/// If the simulator has no parameters or no exact density, or the model no likelihood.
#[expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "there is a truth, and one density for the one row that was asked for"
)]
pub fn posteriors(
    of: Evaluated<'_>,
    simulator: &dyn Simulator,
    config: &PosteriorConfig,
    seed: u64,
) -> Result<Posteriors> {
    let PosteriorConfig { chains, bandwidth, sets, rows, burn_in, draws, step, .. } = *config;
    let truths = config.truths_of(simulator);
    let prior = &simulator.priors()[..];
    let dim = simulator.parameter_dim();
    let sample = |target: &dyn Target, purpose: u64, set: usize, truth: &[f64]| {
        let seed = seed.wrapping_mul(1000).wrapping_add(3 * set as u64 + purpose);
        let (lengths, starts) = (Lengths { burn_in, draws }, truth.repeat(chains));
        let chains = sample_chains(&Metropolis { step }, target, &starts, lengths, seed, of.pool)?;
        Ok::<Vec<f64>, Error>(chains.into_iter().flat_map(|chain| chain.draws).collect())
    };
    let one = |set: usize| -> Result<([f64; 4], Option<f64>, Option<f64>)> {
        let truth = &truths[set % truths.len()];
        let x = observed_set(simulator, truth, rows, seed, set)?;
        let exact = sampled(TruePosterior::new(simulator, &x)?, prior)?;
        let learned = sampled(Posterior::new(of, prior, &x)?, prior)?;
        let again = TruePosterior::again(simulator, &x)?;
        let kl = posterior_kl(exact.as_ref(), learned.as_ref(), prior)?;
        let floor = again.map(|again| posterior_kl(exact.as_ref(), &again, prior)).transpose()?;
        let first = sample(exact.as_ref(), 0, set, truth)?;
        let second = sample(exact.as_ref(), 1, set, truth)?;
        let model = sample(learned.as_ref(), 2, set, truth)?;
        let [first, second, model] = [&first, &second, &model].map(|draws| Sample::new(draws, dim));
        let (first, second, model) = (first?, second?, model?);
        let scale = median_distance(first)?;
        let at_truth = |draws| {
            let width = bandwidth.map_or_else(|| scott(draws), Ok)?;
            kde_log_prob(draws, Sample::new(truth, dim)?, width)
        };
        let distances = [
            squared_mmd(model, first, scale)?,
            squared_mmd(second, first, scale)?,
            at_truth(model)?[0],
            at_truth(first)?[0],
        ];
        Ok((distances, kl, floor.flatten()))
    };
    let mut all = Posteriors::default();
    for set in of.pool.map(sets, one) {
        let ([mmd, mmd_floor, log_posterior, log_posterior_of_truth], kl, floor) = set?;
        all.kl.extend(kl);
        all.kl_floor.extend(floor);
        all.mmd.push(mmd);
        all.mmd_floor.push(mmd_floor);
        all.log_posterior.push(log_posterior);
        all.log_posterior_of_truth.push(log_posterior_of_truth);
    }
    Ok(all)
}
