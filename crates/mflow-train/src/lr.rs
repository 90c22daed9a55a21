//! Learning-rate schedules.
use serde::{Deserialize, Serialize};

/// How the learning rate runs over a phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LrSchedule {
    /// The same throughout.
    Constant,
    /// From the full rate to 0 along half a cosine (Loshchilov & Hutter 2017, arXiv 1608.03983,
    /// eq. 5), anew in each phase and updated at each batch; the published runs update at each epoch.
    #[default]
    Cosine,
}

impl LrSchedule {
    /// Factor on the learning rate after the fraction `progress` of the phase.
    pub fn factor(self, progress: f64, _: &[f64]) -> f64 {
        match self {
            Self::Constant => 1.,
            Self::Cosine => 0.5 * (1. + (std::f64::consts::PI * progress).cos()),
        }
    }

    pub(crate) fn validate(&self, _: &str) -> crate::Result<()> {
        Ok(())
    }
}
