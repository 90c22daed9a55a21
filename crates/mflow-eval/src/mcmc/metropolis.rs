//! Random-walk Metropolis: Metropolis et al. (1953).
use super::chains::{Kernel, Target};
use crate::Result;
use mflow_bijectors::Stream;
use rand::RngExt;
use rand_distr::StandardNormal;

/// Proposals at a Gaussian step from the present point, accepted with the probability
/// `min(1, p(new) / p(old))`: what Brehmer & Cranmer (2020) use, with a step of 0.15.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metropolis {
    /// Standard deviation of the step in each parameter.
    pub step: f64,
}

impl Kernel for Metropolis {
    fn step(
        &self,
        target: &dyn Target,
        theta: &mut [f64],
        log_prob: f64,
        stream: &mut Stream,
    ) -> Result<(f64, bool)> {
        let proposal: Vec<f64> =
            theta.iter().map(|t| t + self.step * stream.sample::<f64, _>(StandardNormal)).collect();
        let proposed = target.log_prob(&proposal)?;
        // A density that is not a number is not accepted.
        if stream.random::<f64>().ln() < proposed - log_prob {
            theta.copy_from_slice(&proposal);
            return Ok((proposed, true));
        }
        Ok((log_prob, false))
    }
}
