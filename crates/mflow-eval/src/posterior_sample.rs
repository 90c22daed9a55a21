//! A sample of a posterior: chains, what they say of each parameter, and whether they can be trusted.
use crate::mcmc::{
    Chain, DifferentiableTarget, Lengths, Nuts, Slice, Standardized, effective_sample_size,
    prior_starts, r_hat, sample_chains,
};
use crate::statistics::percentiles;
use crate::{Error, Estimate, Result};
use mflow_data::Prior;
use mflow_train::Pool;

/// Which sampler runs the chains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampler {
    /// [`Nuts`], between the bounds of the prior.
    #[default]
    Nuts,
    /// [`Slice`], whose width is the range between the quartiles of the prior.
    Slice,
}

/// What chains are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainConfig {
    /// The sampler.
    pub sampler: Sampler,
    /// Their number.
    pub chains: usize,
    /// Their lengths.
    pub lengths: Lengths,
}

impl Default for ChainConfig {
    /// 4 chains of 1000 draws after 500 that are forgotten: the advice of Vehtari et al. (2021), with a shorter
    /// burn-in, as few parameters are tuned.
    fn default() -> Self {
        let lengths = Lengths { burn_in: 500, draws: 1000 };
        Self { sampler: Sampler::default(), chains: 4, lengths }
    }
}

/// R-hat above which chains have not converged: Vehtari et al. (2021), section 4.
pub const R_HAT_LIMIT: f64 = 1.01;

/// Effective sample size below which R-hat and quantiles are too rough: Vehtari et al. (2021), section 4.
pub const LEAST_EFFECTIVE_SAMPLE_SIZE: f64 = 400.0;

/// What the chains say of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParameterSummary {
    /// Mean of all draws.
    pub mean: f64,
    /// Standard deviation of all draws.
    pub std: f64,
    /// The 5 %, 50 % and 95 % quantiles.
    pub quantiles: [f64; 3],
    /// [`r_hat`] of the chains; NaN of chains that all stay at one value.
    pub r_hat: f64,
    /// [`effective_sample_size`] of the chains.
    pub effective_sample_size: f64,
}

/// Draws of a posterior.
#[derive(Clone, Debug, PartialEq)]
pub struct PosteriorSample {
    /// Chains, draws of each, and parameters.
    pub shape: [usize; 3],
    /// The draws, in that order.
    pub samples: Vec<f64>,
    /// The log-density of each draw up to a constant, `[chains, draws]`.
    pub log_prob: Vec<f64>,
    /// What they say of each parameter.
    pub parameters: Vec<ParameterSummary>,
    /// Mean of [`Chain::acceptance`].
    pub acceptance: f64,
    /// Sum of [`Chain::divergences`].
    pub divergences: usize,
}

/// Sample `target`, whose support is that of `priors`, by chains that start at draws of the prior. The seed
/// decides the result, the threads do not.
///
/// # Errors
/// [`Error::Chains`] for no chain, or for less draws than [`r_hat`] needs, and those of the sampler and the
/// density.
pub fn sample_posterior(
    target: &dyn DifferentiableTarget,
    priors: &[Prior],
    config: &ChainConfig,
    seed: u64,
    pool: &Pool,
) -> Result<PosteriorSample> {
    let &ChainConfig { sampler, chains, lengths } = config;
    if chains == 0 {
        let (draws, found) = (lengths.draws, "none".to_owned());
        return Err(Error::Chains { chains: 1, draws, found });
    }
    let starts = prior_starts(target, priors, chains, seed)?;
    let chains = match sampler {
        Sampler::Nuts => {
            Nuts::default().sample_within(target, priors, &starts, lengths, seed, pool)?
        }
        Sampler::Slice => {
            let units = Standardized::new(target, priors)?;
            let (slice, starts) = (Slice { width: 1. }, units.to_units(&starts));
            let mut chains = sample_chains(&slice, &units, &starts, lengths, seed, pool)?;
            for chain in &mut chains {
                chain.draws = units.to_parameters(&chain.draws);
            }
            chains
        }
    };
    PosteriorSample::new(target, chains, pool)
}

impl PosteriorSample {
    #[expect(clippy::indexing_slicing, reason = "counted by the chains")]
    fn new(target: &dyn DifferentiableTarget, chains: Vec<Chain>, pool: &Pool) -> Result<Self> {
        let dim = target.dim();
        let log_probs = pool.map(chains.len(), |chain| target.log_probs(&chains[chain].draws));
        let log_prob = log_probs.into_iter().collect::<Result<Vec<_>>>()?.concat();
        let shape = [chains.len(), log_prob.len() / chains.len().max(1), dim];
        let acceptances: Vec<f64> = chains.iter().map(|chain| chain.acceptance).collect();
        let mut sample = Self {
            shape,
            acceptance: Estimate::mean(&acceptances)?.value,
            divergences: chains.iter().map(|chain| chain.divergences).sum(),
            samples: chains.into_iter().flat_map(|chain| chain.draws).collect(),
            log_prob,
            parameters: Vec::with_capacity(dim),
        };
        for parameter in 0..dim {
            let summary = ParameterSummary::new(&sample.of_chains(parameter))?;
            sample.parameters.push(summary);
        }
        Ok(sample)
    }

    /// The draws of a parameter, chain by chain.
    #[must_use]
    pub fn of_chains(&self, parameter: usize) -> Vec<Vec<f64>> {
        let [_, draws, dim] = self.shape;
        let of_chain =
            |chain: &[f64]| chain.iter().skip(parameter).step_by(dim.max(1)).copied().collect();
        self.samples.chunks(draws.saturating_mul(dim).max(1)).map(of_chain).collect()
    }
}

impl ParameterSummary {
    fn new(chains: &[Vec<f64>]) -> Result<Self> {
        let parts: Vec<&[f64]> = chains.iter().map(Vec::as_slice).collect();
        let all = chains.concat();
        let mean = Estimate::mean(&all)?;
        let std = mean.standard_error.unwrap_or(0.) * (mean.count as f64).sqrt();
        Ok(Self {
            mean: mean.value,
            std,
            // Of at least one draw, as there is a mean.
            quantiles: percentiles(all, [5., 50., 95.]).ok_or(Error::NoSamples)?,
            r_hat: r_hat(&parts)?,
            effective_sample_size: effective_sample_size(&parts)?,
        })
    }
}
