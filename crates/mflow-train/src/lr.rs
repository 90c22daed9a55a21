//! Learning-rate schedules.
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// How the learning rate runs over a phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LrSchedule {
    /// The same throughout.
    Constant,
    /// From the full rate to 0 along half a cosine (Loshchilov & Hutter 2017, arXiv 1608.03983,
    /// eq. 5), anew in each phase and updated at each batch; the published runs update at each epoch.
    #[default]
    Cosine,
    /// The same several times over, from the full rate anew each time.
    CosineRestarts(CosineRestarts),
    /// Up to the full rate and down to almost nothing.
    OneCycle(OneCycle),
    /// Down by a factor whenever the validation loss has stopped falling.
    Plateau(Plateau),
}

/// Cosine with warm restarts: Loshchilov & Hutter (2017), arXiv 1608.03983, section 3.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CosineRestarts {
    /// Number of cosines.
    pub cycles: usize,
    /// Length of each over that of the one before, `T_mult` of the paper.
    pub growth: f64,
}

impl Default for CosineRestarts {
    fn default() -> Self {
        Self { cycles: 4, growth: 1. }
    }
}

/// The 1cycle policy: from `1/start` of the full rate up to it and down to `1/(start end)`, along half
/// cosines. Smith & Topin (2018), arXiv 1708.07120.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct OneCycle {
    /// Share of the updates on the way up.
    pub warm_up: f64,
    /// Full rate over the first one.
    pub start: f64,
    /// First rate over the last one.
    pub end: f64,
}

impl Default for OneCycle {
    fn default() -> Self {
        Self { warm_up: 0.3, start: 25., end: 1e4 }
    }
}

/// Reduction on a plateau of the validation loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Plateau {
    /// Factor of each reduction.
    pub factor: f64,
    /// Epochs without improvement that are waited for.
    pub patience: usize,
    /// A loss improves if it is smaller than the best by this share of the best's size.
    pub threshold: f64,
    /// Smallest rate over the full one.
    pub least: f64,
}

impl Default for Plateau {
    fn default() -> Self {
        Self { factor: 0.1, patience: 10, threshold: 1e-4, least: 0. }
    }
}

/// From `a` at 0 to `b` at 1 along half a cosine.
fn anneal(a: f64, b: f64, progress: f64) -> f64 {
    b + (a - b) * 0.5 * (1. + (PI * progress).cos())
}

impl LrSchedule {
    /// Factor on the learning rate after the fraction `progress` of the phase's updates, given the
    /// validation losses of its finished epochs.
    pub fn factor(&self, progress: f64, validation: &[f64]) -> f64 {
        match self {
            Self::Constant => 1.,
            Self::Cosine => anneal(1., 0., progress),
            Self::CosineRestarts(restarts) => restarts.factor(progress),
            Self::OneCycle(OneCycle { warm_up, start, end }) => {
                let last = 1. / (start * end);
                match progress < *warm_up {
                    true => anneal(1. / start, 1., progress / warm_up),
                    false => anneal(1., last, (progress - warm_up) / (1. - warm_up)),
                }
            }
            Self::Plateau(plateau) => plateau.factor(validation),
        }
    }

    pub(crate) fn validate(&self, path: &str) -> Result<()> {
        let check = |field: &str, holds: bool, rule: &str, v: f64| match holds {
            true => Ok(()),
            false => {
                Err(Error::config(format!("{path}.{field}"), format!("must be {rule}, found {v}")))
            }
        };
        match *self {
            Self::Constant | Self::Cosine => Ok(()),
            Self::CosineRestarts(CosineRestarts { cycles, growth }) => {
                check("cosine_restarts.cycles", cycles > 0, "positive", 0.)?;
                let holds = growth > 0. && growth.is_finite();
                check("cosine_restarts.growth", holds, "positive and finite", growth)
            }
            Self::OneCycle(OneCycle { warm_up, start, end }) => {
                let holds = warm_up > 0. && warm_up < 1.;
                check("one_cycle.warm_up", holds, "between 0 and 1", warm_up)?;
                check("one_cycle.start", start >= 1. && start.is_finite(), "1 or more", start)?;
                check("one_cycle.end", end > 0. && end.is_finite(), "positive and finite", end)
            }
            Self::Plateau(Plateau { factor, threshold, least, .. }) => {
                check("plateau.factor", factor > 0. && factor < 1., "between 0 and 1", factor)?;
                let holds = (0. ..1.).contains(&threshold);
                check("plateau.threshold", holds, "in [0, 1)", threshold)?;
                check("plateau.least", (0. ..=1.).contains(&least), "in [0, 1]", least)
            }
        }
    }
}

impl CosineRestarts {
    fn factor(self, progress: f64) -> f64 {
        let lengths = (0..self.cycles).map(|i| self.growth.powf(i as f64));
        let total: f64 = lengths.clone().sum();
        let mut begin = 0.;
        for length in lengths.map(|l| l / total) {
            if progress < begin + length {
                return anneal(1., 0., (progress - begin) / length);
            }
            begin += length;
        }
        0.
    }
}

impl Plateau {
    /// A function of the losses alone: nothing else need be kept to go on after an interruption.
    fn factor(self, validation: &[f64]) -> f64 {
        let (mut best, mut waited, mut factor) = (f64::INFINITY, 0, 1.);
        for &loss in validation {
            if loss < best - self.threshold * best.abs().min(f64::MAX) {
                (best, waited) = (loss, 0);
            } else {
                waited += 1;
            }
            if waited > self.patience {
                (factor, waited) = (f64::max(factor * self.factor, self.least), 0);
            }
        }
        factor
    }
}
