//! Markov chain Monte Carlo: draws from a density that is known up to a factor, such as a posterior.

mod bounded;
mod chains;
mod diagnostics;
mod metropolis;
mod nuts;
mod plane;
mod slice;
mod standardized;
mod starts;
mod tabulated;

pub use bounded::Bounded;
pub use chains::{Chain, DifferentiableTarget, Kernel, Lengths, Target, sample_chains};
pub use diagnostics::{effective_sample_size, r_hat};
pub use metropolis::Metropolis;
pub use nuts::Nuts;
pub use plane::{tabulated_plane, tabulated_window};
pub use slice::Slice;
pub(crate) use standardized::Standardized;
pub use starts::prior_starts;
pub use tabulated::Tabulated;
