//! The laws that manifolds and models keep, to try yours on.
//!
//! [`embedding::check`] tries an [`Embedding`](crate::Embedding), a chart among them: projections, tangents, the volume element, the
//! ends of the domain. [`model::check`] tries a [`Model`](crate::Model): codes, the density beside its parts and its integral,
//! samples, files. They work as those of maps in [`mod@mflow_bijectors::laws`]: inputs are drawn and shrunk, and a broken law says at
//! which input, what was found and expected, and why so much difference is allowed. [`embedding_laws!`](crate::embedding_laws!) and
//! [`model_laws!`](crate::model_laws!) make a test of each law.
//!
//! ```
//! use mflow_core::ChartConfig;
//! use mflow_core::laws::{Options, embedding};
//!
//! let torus = ChartConfig::Torus { major: 2., minor: 0.6 };
//! embedding::check("torus", &torus, &Options::default().cases(1)).unwrap();
//! ```
//!
//! The oracles are outside of what is tried: central differences in f64, determinants by elimination, other points of the manifold,
//! sums over draws, the same numbers in f64.
#![expect(
    clippy::indexing_slicing,
    reason = "a law looks at what the suite has drawn and made, in tests"
)]
pub mod embedding;
pub mod model;

mod broken;
mod differences;
mod inputs;
mod macros;
mod options;

pub use broken::Broken;
pub use mflow_bijectors::laws::{Failure, Finding, Tolerances};
pub use options::Options;

use crate::Error;
use candle_core::Tensor;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error.to_string())
    }
}

/// Why a law of differences allows what it does.
const BY_DIFFERENCES: &str = "central differences with a step of 1e-6 in f64";
/// Why a way back may differ.
const ROUNDING: &str = "rounding in f64, times how steep the way back is";

/// Broken unless an error is one that says what is wrong with an argument; candle's own do not.
fn typed(what: &str, result: crate::Result<Tensor>) -> Result<(), Failure> {
    use mflow_bijectors::laws::differs;
    match result {
        Ok(t) => differs(what, format!("a result of shape {:?}", t.dims()), "a typed error"),
        Err(e @ (Error::Tensor(_) | Error::Bijector(mflow_bijectors::Error::Tensor(_)))) => {
            differs(what, format!("an error of the tensor library: {e}"), "a typed error")
        }
        Err(_) => Ok(()),
    }
}
