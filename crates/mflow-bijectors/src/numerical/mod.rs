//! Maps whose inverse has no closed form: monotone functions by bracketed Newton steps, contractive
//! residual blocks by fixed-point iteration. Both inverses are exact to rounding and differentiable by
//! the implicit function theorem; neither returns what has not converged.
mod mixture;
mod residual;
mod solve;

pub use mixture::{TanhMixture, TanhMixtureConfig};
pub use residual::{ResidualBlock, ResidualBlockConfig};
pub(crate) use solve::{Curve, solve};
