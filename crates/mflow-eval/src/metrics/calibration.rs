//! Whether a model's posteriors are as wide as they should be: simulation-based calibration, Talts et al. (2018),
//! arXiv:1804.06788.
use super::Evaluated;
use super::posteriors::TABLE;
use crate::mcmc::{Lengths, Nuts, Tabulated, effective_sample_size};
use crate::statistics::{Calibration, central_coverage, rank};
use crate::{Error, Estimate, Posterior, Result};
use mflow_bijectors::Stream;
use mflow_data::Simulator;

/// Sizes of a calibration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalibrationConfig {
    /// Observed sets, each at parameters of its own.
    pub sets: usize,
    /// Rows of each.
    pub rows: usize,
}

impl CalibrationConfig {
    /// Sets that the uniformity of ranks needs at least.
    pub const LEAST_SETS: usize = LEAST_IN_BIN * BINS[3];

    /// Of `sets` sets of 20 rows.
    #[must_use]
    pub fn new(sets: usize) -> Self {
        Self { sets, rows: 20 }
    }
}

/// How the true parameters rank among draws of the posteriors.
#[derive(Clone, Debug, PartialEq)]
pub struct PosteriorCalibration {
    /// Uniformity of the ranks, for each parameter.
    pub parameters: Vec<Calibration>,
    /// The share of truths in the central half of their posterior, mean over sets: 0.5 if it is calibrated.
    pub coverage_50: Estimate,
    /// The same of the central 90 %.
    pub coverage_90: Estimate,
}

impl PosteriorCalibration {
    /// The probability of ranks as uneven in any parameter, if all are calibrated: the least p-value times the
    /// number of parameters (Bonferroni).
    #[must_use]
    pub fn p_value(&self) -> f64 {
        let least = self.parameters.iter().map(|c| c.p_value).fold(f64::INFINITY, f64::min);
        (least * self.parameters.len() as f64).min(1.)
    }
}

/// Independent draws that a truth is ranked among: ranks are 0 to 99.
const DRAWS: usize = 99;

/// Bins of their histogram: as many as there are ranks for, and not so few that ends and middle are one.
const BINS: [usize; 4] = [20, 10, 5, 4];

/// Ranks that each of them should have at the least, for the law of chi-squared to hold.
const LEAST_IN_BIN: usize = 5;

/// Draw parameters from the prior and rows given them, and rank the parameters among 99 draws of their posterior by
/// the model. If the model is the simulator's density, ranks are uniform; posteriors that are too narrow
/// have ranks at both ends and intervals that cover too little.
///
/// The posterior of one parameter is drawn from its table, independently. Of several the draws are every
/// k-th one of a chain of [`Nuts`], as many as make 99 independent ones by the effective sample size; chains
/// that stay far below that even when they are eight times as long count as they are, and miss uniform ranks.
///
/// # Errors
/// If there are less than 20 sets, the simulator has no parameters, the model no likelihood given them, or a
/// chain fails.
#[expect(clippy::indexing_slicing, reason = "a rank for each parameter of the simulator")]
pub fn calibration(
    of: Evaluated<'_>,
    simulator: &dyn Simulator,
    config: CalibrationConfig,
    seed: u64,
) -> Result<PosteriorCalibration> {
    let CalibrationConfig { sets, rows } = config;
    let Some(bins) = BINS.into_iter().find(|bins| sets >= LEAST_IN_BIN * bins) else {
        return Err(Error::TooFew { expected: CalibrationConfig::LEAST_SETS, found: sets });
    };
    let dim = simulator.parameter_dim();
    if dim == 0 {
        let (expected, found) = ("a simulator with parameters".to_owned(), "none".to_owned());
        return Err(Error::Model { what: "calibration", expected, found });
    }
    // The ranks of the parameters of a set.
    let one = |set: usize| -> Result<Vec<usize>> {
        let mut stream = Stream::new(seed, &format!("calibration set {set}"));
        let truth = simulator.sample_prior(1, &mut stream);
        let x = simulator.sample(rows, &truth.repeat(rows), &mut stream)?;
        let draws = posterior_draws(of, simulator, &x, &truth, &mut stream)?;
        let column = |k: usize| draws.iter().skip(k).step_by(dim).copied().collect::<Vec<f64>>();
        truth.iter().enumerate().map(|(k, truth)| rank(&column(k), *truth)).collect()
    };
    let ranks = of.pool.map(sets, one).into_iter().collect::<Result<Vec<_>>>()?;
    let of_parameter = |k: usize| {
        let ranks: Vec<usize> = ranks.iter().map(|of_set| of_set[k]).collect();
        Calibration::new(&ranks, DRAWS, bins)
    };
    let coverage = |probability: f64| -> Result<Estimate> {
        let shares = ranks.iter().map(|of_set| central_coverage(of_set, DRAWS, probability));
        Estimate::mean(&shares.collect::<Result<Vec<_>>>()?)
    };
    Ok(PosteriorCalibration {
        parameters: (0..dim).map(of_parameter).collect::<Result<_>>()?,
        coverage_50: coverage(0.5)?,
        coverage_90: coverage(0.9)?,
    })
}

/// [`DRAWS`] draws of the posterior given `x`, `[DRAWS, dim]`.
fn posterior_draws(
    of: Evaluated<'_>,
    simulator: &dyn Simulator,
    x: &[f64],
    truth: &[f64],
    stream: &mut Stream,
) -> Result<Vec<f64>> {
    let prior = &simulator.priors()[..];
    let posterior = Posterior::new(of, prior, x)?;
    if let [prior] = prior {
        return Tabulated::new(&posterior, prior, TABLE)?.sample(DRAWS, stream);
    }
    const BURN_IN: usize = 200;
    const DOUBLINGS: u32 = 3;
    let dim = prior.len();
    let mut thin = 2;
    loop {
        let lengths = Lengths { burn_in: BURN_IN, draws: thin * DRAWS };
        let seed = rand::Rng::next_u64(stream);
        let chains =
            Nuts::default().sample_within(&posterior, prior, truth, lengths, seed, of.pool)?;
        let draws: Vec<f64> = chains.into_iter().flat_map(|chain| chain.draws).collect();
        let mut size = f64::INFINITY;
        for k in 0..dim {
            let column: Vec<f64> = draws.iter().skip(k).step_by(dim).copied().collect();
            size = size.min(effective_sample_size(&[&column])?);
        }
        if size >= DRAWS as f64 || thin == 2_usize.pow(DOUBLINGS + 1) {
            let kept = draws.chunks_exact(dim).skip(thin - 1).step_by(thin);
            return Ok(kept.flatten().copied().collect());
        }
        thin *= 2;
    }
}
