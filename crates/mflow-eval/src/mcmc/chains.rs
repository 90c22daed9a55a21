//! What samplers share: the density, chains, how long they are.
use crate::{Error, Result};
use mflow_bijectors::Stream;
use mflow_train::Pool;
use std::fmt::Debug;

/// A density up to a factor.
pub trait Target: Debug + Sync {
    /// The number of parameters.
    fn dim(&self) -> usize;
    /// Its logarithm at `theta`, up to a constant; negative infinity outside the support.
    ///
    /// # Errors
    /// If it cannot be evaluated.
    fn log_prob(&self, theta: &[f64]) -> Result<f64>;
    /// The same at each row of `thetas`, `[n, dim]`: `[n]`. Where rows are cheaper together, a target says
    /// so here.
    ///
    /// # Errors
    /// If it cannot be evaluated.
    fn log_probs(&self, thetas: &[f64]) -> Result<Vec<f64>> {
        thetas.chunks(self.dim().max(1)).map(|theta| self.log_prob(theta)).collect()
    }
}

/// A density whose logarithm can be differentiated.
pub trait DifferentiableTarget: Target {
    /// [`Target::log_prob`] at `theta`; its gradient goes to `gradient`, `[dim]`, which is zero outside the
    /// support.
    ///
    /// # Errors
    /// If it cannot be evaluated.
    fn log_prob_and_gradient(&self, theta: &[f64], gradient: &mut [f64]) -> Result<f64>;
}

/// How long chains are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lengths {
    /// Draws at the start that are forgotten. Samplers that tune themselves do it there.
    pub burn_in: usize,
    /// Draws that are kept.
    pub draws: usize,
}

/// A chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// `[draws, dim]`, row by row.
    pub draws: Vec<f64>,
    /// The share of proposals that were accepted; of a [`Nuts`](super::Nuts) the mean of their probabilities.
    pub acceptance: f64,
    /// Kept draws whose path was given up, as the energy along it was no longer conserved: only a
    /// [`Nuts`](super::Nuts) has paths. More than a few say that a part of the density is out of its reach.
    pub divergences: usize,
}

/// The starts of chains, one by one.
///
/// # Errors
/// [`Error::Rows`] for starts that are not whole rows.
pub(super) fn rows(starts: &[f64], dim: usize) -> Result<Vec<&[f64]>> {
    if dim == 0 || !starts.len().is_multiple_of(dim) {
        return Err(Error::Rows { cols: dim, found: starts.len() });
    }
    Ok(starts.chunks_exact(dim).collect())
}

/// One way to go from a point to the next.
pub trait Kernel: Debug + Sync {
    /// From `theta`, where the log-density is `log_prob`: the same again, and whether it moved.
    ///
    /// # Errors
    /// If the density cannot be evaluated.
    fn step(
        &self,
        target: &dyn Target,
        theta: &mut [f64],
        log_prob: f64,
        stream: &mut Stream,
    ) -> Result<(f64, bool)>;
}

/// Run one chain from each row of `starts`, `[chains, dim]`, several at once on the pool. Each has its own
/// random stream of the seed, so that the threads make no difference.
///
/// # Errors
/// [`Error::Rows`] for starts that are not whole rows, [`Error::Start`] for one of density zero, and
/// those of the density.
#[expect(clippy::indexing_slicing, reason = "counted by the starts")]
pub fn sample_chains(
    kernel: &dyn Kernel,
    target: &dyn Target,
    starts: &[f64],
    lengths: Lengths,
    seed: u64,
    pool: &Pool,
) -> Result<Vec<Chain>> {
    let starts = rows(starts, target.dim())?;
    let run = |chain: usize| -> Result<Chain> {
        let mut stream = Stream::new(seed, &format!("chain {chain}"));
        let mut theta = starts[chain].to_vec();
        let mut log_prob = target.log_prob(&theta)?;
        if !log_prob.is_finite() {
            return Err(Error::Start { chain, found: log_prob });
        }
        let mut draws = Vec::new();
        let mut accepted = 0_usize;
        for i in 0..lengths.burn_in.saturating_add(lengths.draws) {
            let (next, moved) = kernel.step(target, &mut theta, log_prob, &mut stream)?;
            log_prob = next;
            if i >= lengths.burn_in {
                draws.extend(&theta);
                accepted += usize::from(moved);
            }
        }
        let acceptance = accepted as f64 / lengths.draws.max(1) as f64;
        Ok(Chain { draws, acceptance, divergences: 0 })
    };
    pool.map(starts.len(), run).into_iter().collect()
}
