//! Data for manifold-learning flows: tables of numbers on disk, and simulators whose density and
//! distance to the manifold are known exactly.
//!
//! Everything here is in double precision and knows nothing of tensors: a batch is a flat slice
//! in row-major order, `[n, D]` meaning `n` rows of `D` values one after another.

mod circle;
mod error;
pub mod io;
mod polynomial_surface;
mod registry;
mod simulator;

pub use circle::Circle;
pub use error::{Error, Place, Result};
pub use polynomial_surface::{HeightJet, PolynomialSurface};
pub use registry::{SIMULATOR_NAMES, simulator_by_name};
pub use simulator::Simulator;
