//! Where chains start.
use super::chains::Target;
use crate::{Error, Result};
use mflow_bijectors::Stream;
use mflow_data::Prior;

/// Draws of the prior that a chain tries before it gives up.
const TRIES: usize = 100;

/// A start for each of `chains` chains, `[chains, dim]`: a draw of the prior, each from its own random stream
/// of the seed. A prior is wider than the posterior, so chains that agree in the end have come there from
/// different sides: what R-hat needs. A draw at a bound, or where the density is zero, is drawn again.
///
/// # Errors
/// [`Error::Rows`] where there is not a prior for each parameter, [`Error::Start`] where 100 draws of a chain
/// all have density zero, and those of the target.
pub fn prior_starts(
    target: &dyn Target,
    priors: &[Prior],
    chains: usize,
    seed: u64,
) -> Result<Vec<f64>> {
    if priors.len() != target.dim() {
        return Err(Error::Rows { cols: target.dim(), found: priors.len() });
    }
    let mut starts = Vec::with_capacity(chains * priors.len());
    for chain in 0..chains {
        let mut stream = Stream::new(seed, &format!("start of chain {chain}"));
        let mut found = f64::NEG_INFINITY;
        let tries = (0..TRIES).map(|_| -> Result<Option<Vec<f64>>> {
            let theta: Vec<f64> = priors.iter().map(|prior| prior.sample(&mut stream)).collect();
            if theta.iter().zip(priors).any(|(value, prior)| is_bound(*value, prior)) {
                return Ok(None);
            }
            found = target.log_prob(&theta)?;
            Ok(found.is_finite().then_some(theta))
        });
        let start = tries.filter_map(Result::transpose).next().transpose()?;
        starts.extend(start.ok_or(Error::Start { chain, found })?);
    }
    Ok(starts)
}

/// Whether a value is where the map between bounds and reals ends.
fn is_bound(value: f64, prior: &Prior) -> bool {
    matches!(*prior, Prior::Uniform { low, high } if value <= low || value >= high)
}
