//! The no-U-turn sampler: Hoffman and Gelman (2014), "The No-U-Turn Sampler: adaptively setting path lengths in
//! Hamiltonian Monte Carlo", Journal of Machine Learning Research 15.
use super::bounded::Bounded;
use super::chains::{Chain, DifferentiableTarget, Lengths, rows};
use crate::{Error, Result};
use mflow_bijectors::Stream;
use mflow_data::Prior;
use mflow_train::Pool;
use nuts_rs::rand::Rng;
use nuts_rs::{
    Chain as _, CpuLogpFunc, CpuMath, CpuMathError, DiagNutsSettings, HasDims, LogpError, Settings,
};
use std::cell::RefCell;
use std::collections::HashMap;

/// The no-U-turn sampler of the crate `nuts-rs`. Its draws are less correlated than those of a walk, by far in
/// several dimensions, for a gradient each step. Step size and scales of the parameters are tuned in the
/// burn-in, some hundred draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nuts {
    /// The mean acceptance that the step size is tuned to. Nearer 1 steps are shorter: what to do about
    /// divergences.
    pub target_acceptance: f64,
}

impl Default for Nuts {
    /// An acceptance of 0.8.
    fn default() -> Self {
        Self { target_acceptance: 0.8 }
    }
}

impl Nuts {
    /// One chain from each row of `starts`, `[chains, dim]`, as [`sample_chains`](super::sample_chains) has
    /// them. The density should be positive on all of the reals; for one within bounds see
    /// [`Self::sample_within`].
    ///
    /// # Errors
    /// [`Error::Acceptance`] for one to aim at that is none, [`Error::Rows`] for starts that are not whole rows,
    /// [`Error::Start`] for one of density zero, [`Error::Density`] for a density that is NaN or positive
    /// infinity at any point that a path comes to, or a gradient there that is not finite,
    /// [`Error::Sampler`] where the gradient vanishes in a direction, and those of the density.
    #[expect(clippy::indexing_slicing, reason = "counted by the starts")]
    pub fn sample(
        &self,
        target: &dyn DifferentiableTarget,
        starts: &[f64],
        lengths: Lengths,
        seed: u64,
        pool: &Pool,
    ) -> Result<Vec<Chain>> {
        let found = self.target_acceptance;
        if !(found > 0. && found < 1.) {
            return Err(Error::Acceptance { found });
        }
        let starts = rows(starts, target.dim())?;
        let one = |chain: usize| self.chain(target, chain, starts[chain], lengths, seed);
        pool.map(starts.len(), one).into_iter().collect()
    }

    /// The same for a density within the bounds of `priors`: steps are taken in the reals ([`Bounded`]),
    /// starts and draws are in the units of the density. No chain can start at a bound.
    ///
    /// # Errors
    /// As [`Self::sample`] and [`Bounded::new`].
    pub fn sample_within(
        &self,
        target: &dyn DifferentiableTarget,
        priors: &[Prior],
        starts: &[f64],
        lengths: Lengths,
        seed: u64,
        pool: &Pool,
    ) -> Result<Vec<Chain>> {
        let unbounded = Bounded::new(target, priors)?;
        let starts = unbounded.to_unbounded(starts);
        let mut chains = self.sample(&unbounded, &starts, lengths, seed, pool)?;
        for chain in &mut chains {
            chain.draws = unbounded.to_bounded(&chain.draws);
        }
        Ok(chains)
    }

    fn chain(
        &self,
        target: &dyn DifferentiableTarget,
        chain: usize,
        start: &[f64],
        lengths: Lengths,
        seed: u64,
    ) -> Result<Chain> {
        let mut stream = Stream::new(seed, &format!("chain {chain}"));
        let start = nudged(target, chain, start, &mut stream)?;
        let mut settings = DiagNutsSettings {
            num_tune: lengths.burn_in as u64,
            num_draws: lengths.draws as u64,
            ..DiagNutsSettings::default()
        };
        settings.adapt_options.step_size_settings.target_accept = self.target_acceptance;
        let failure = RefCell::new(None);
        let density = CpuMath::new(LogDensity { target, failure: &failure });
        // An error of the density is the reason behind whatever the sampler says.
        let why = |said: &dyn ToString| match failure.take() {
            Some(error) => error,
            None => Error::Sampler { chain, reason: said.to_string() },
        };
        let mut sampler = settings.new_chain(0, density, &mut stream).map_err(|e| why(&e))?;
        sampler.set_position(&start).map_err(|e| why(&e))?;
        let mut kept = Chain { draws: Vec::new(), acceptance: 0., divergences: 0 };
        for i in 0..lengths.burn_in.saturating_add(lengths.draws) {
            let (draw, _, info, progress) = sampler.expanded_draw().map_err(|e| why(&e))?;
            if i >= lengths.burn_in {
                kept.draws.extend(draw);
                kept.acceptance += info.adapt.step_size.mean_tree_accept / lengths.draws as f64;
                kept.divergences += usize::from(progress.diverging);
            }
        }
        Ok(kept)
    }
}

/// The start, refused where the density is zero. The sampler takes its first scales from the gradient and cannot
/// where a derivative is exactly zero, as at a mode; a start there is moved by a hair.
fn nudged(
    target: &dyn DifferentiableTarget,
    chain: usize,
    start: &[f64],
    stream: &mut Stream,
) -> Result<Vec<f64>> {
    let mut gradient = vec![0.; start.len()];
    let found = target.log_prob_and_gradient(start, &mut gradient)?;
    if !found.is_finite() {
        return Err(Error::Start { chain, found });
    }
    const HAIR: f64 = 1e-3;
    let moves = stream.normal(start.len());
    let one = |((t, g), by): ((&f64, &f64), f64)| if *g == 0. { t + HAIR * by } else { *t };
    Ok(start.iter().zip(&gradient).zip(moves).map(one).collect())
}

/// A target as `nuts-rs` asks it. What went wrong is kept, as it hands on no errors but as text.
struct LogDensity<'a> {
    target: &'a dyn DifferentiableTarget,
    failure: &'a RefCell<Option<Error>>,
}

/// Why there is no density at a point.
#[derive(Debug, thiserror::Error)]
enum NoDensity {
    /// The path has left the support: a divergence.
    #[error("the density is zero")]
    Zero,
    /// The error is in [`LogDensity::failure`].
    #[error("the density failed")]
    Failed,
}

impl LogpError for NoDensity {
    fn is_recoverable(&self) -> bool {
        matches!(self, Self::Zero)
    }
}

impl LogDensity<'_> {
    fn evaluate(&self, theta: &[f64], gradient: &mut [f64]) -> Result<f64> {
        let found = self.target.log_prob_and_gradient(theta, gradient)?;
        let refuse = |what, expected, found| {
            Err(Error::Density { what, theta: theta.to_vec(), expected, found })
        };
        if found.is_nan() || found == f64::INFINITY {
            return refuse("the log-density", "a finite number or negative infinity", found);
        }
        match gradient.iter().find(|g| !g.is_finite()) {
            Some(g) if found.is_finite() => {
                refuse("a derivative of the log-density", "a finite number", *g)
            }
            _ => Ok(found),
        }
    }
}

impl CpuLogpFunc for LogDensity<'_> {
    type LogpError = NoDensity;
    type FlowParameters = ();
    type ExpandedVector = ();

    fn dim(&self) -> usize {
        self.target.dim()
    }

    fn logp(&mut self, theta: &[f64], gradient: &mut [f64]) -> Result<f64, NoDensity> {
        // A step that is far too long overflows.
        if theta.iter().any(|t| !t.is_finite()) {
            return Err(NoDensity::Zero);
        }
        match self.evaluate(theta, gradient) {
            Ok(f64::NEG_INFINITY) => Err(NoDensity::Zero),
            Ok(log_prob) => Ok(log_prob),
            Err(error) => {
                self.failure.replace(Some(error));
                Err(NoDensity::Failed)
            }
        }
    }

    fn expand_vector<R: Rng + ?Sized>(&mut self, _: &mut R, _: &[f64]) -> Result<(), CpuMathError> {
        Ok(())
    }
}

impl HasDims for LogDensity<'_> {
    fn dim_sizes(&self) -> HashMap<String, u64> {
        HashMap::new()
    }
}
