//! How near the posteriors of a model are to the true ones.
use super::Evaluated;
use crate::mcmc::{Lengths, Metropolis, Target, sample_chains};
use crate::statistics::{Sample, median_distance, squared_mmd};
use crate::{Posterior, Result};
use mflow_bijectors::Stream;
use mflow_data::Simulator;

/// What chains are like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PosteriorConfig {
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
    /// As published, but for the number of sets, which was 1.
    fn default() -> Self {
        Self { sets: 20, rows: 20, burn_in: 100, draws: 5000, step: 0.15 }
    }
}

/// Squared maximum mean discrepancies of each observed set.
#[derive(Clone, Debug, PartialEq)]
pub struct PosteriorMmd {
    /// Between draws of the model's posterior and of the true one.
    pub model: Vec<f64>,
    /// Between two chains of the true one: what no model can fall below but by chance.
    pub floor: Vec<f64>,
}

/// The true posterior given observed rows.
#[derive(Debug)]
struct TruePosterior<'a> {
    simulator: &'a dyn Simulator,
    x: &'a [f64],
}

impl Target for TruePosterior<'_> {
    fn dim(&self) -> usize {
        self.simulator.parameter_dim()
    }
    fn log_prob(&self, theta: &[f64]) -> Result<f64> {
        if !self.simulator.parameters().iter().zip(theta).all(|(p, t)| p.contains(*t)) {
            return Ok(f64::NEG_INFINITY);
        }
        let rows = self.x.len() / self.simulator.data_dim();
        Ok(self.simulator.log_prob(self.x, &theta.repeat(rows))?.iter().sum())
    }
}

/// Draw observed sets at the default parameters, sample the posteriors of the model and of the truth from
/// chains that start at the truth, and compare them with a Gaussian kernel whose scale is the median
/// distance of the true draws: Brehmer & Cranmer (2020), section 4.B.
///
/// # Errors
/// If the simulator has no parameters or no exact density, or the model no likelihood.
pub fn posterior_mmd(
    of: Evaluated<'_>,
    simulator: &dyn Simulator,
    config: PosteriorConfig,
    seed: u64,
) -> Result<PosteriorMmd> {
    let PosteriorConfig { sets, rows, burn_in, draws, step } = config;
    let truth = simulator.default_parameters();
    let sample = |target: &dyn Target, purpose: u64, set: usize| -> Result<Vec<f64>> {
        let seed = seed.wrapping_mul(1000).wrapping_add(3 * set as u64 + purpose);
        let lengths = Lengths { burn_in, draws };
        let chains = sample_chains(&Metropolis { step }, target, &truth, lengths, seed, of.pool)?;
        Ok(chains.into_iter().flat_map(|chain| chain.draws).collect())
    };
    let one = |set: usize| -> Result<(f64, f64)> {
        let mut stream = Stream::new(seed, &format!("observed set {set}"));
        let x = simulator.sample(rows, &truth.repeat(rows), &mut stream)?;
        let exact = TruePosterior { simulator, x: &x };
        let (first, second) = (sample(&exact, 0, set)?, sample(&exact, 1, set)?);
        let model = sample(&Posterior::new(of, simulator.parameters(), &x)?, 2, set)?;
        let [first, second, model] = [&first, &second, &model];
        let dim = simulator.parameter_dim();
        let first = Sample::new(first, dim)?;
        let scale = median_distance(first)?;
        let from_truth = |other: &[f64]| squared_mmd(Sample::new(other, dim)?, first, scale);
        Ok((from_truth(model)?, from_truth(second)?))
    };
    let all = of.pool.map(sets, one).into_iter().collect::<Result<Vec<_>>>()?;
    let (model, floor) = all.into_iter().unzip();
    Ok(PosteriorMmd { model, floor })
}
