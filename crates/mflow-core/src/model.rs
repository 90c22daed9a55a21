//! The [`Model`] trait: what every model of a density on a manifold can be asked.
use crate::{Error, Result};
use candle_core::{D, DType, Device, Tensor};
use mflow_bijectors::Stream;
use std::fmt::Debug;

/// Sizes of a model.
#[derive(Clone, Debug)]
pub struct ModelSignature {
    /// Number of features `D` of the data.
    pub data_dim: usize,
    /// Dimension `N` of the manifold.
    pub manifold_dim: usize,
    /// Number of context features `C`, if conditional.
    pub context_dim: Option<usize>,
    /// Dtype of the parameters and of every argument.
    pub dtype: DType,
    /// Device of the parameters and of every argument.
    pub device: Device,
}

/// A density on a manifold in `R^D`.
///
/// Three numbers are never mixed up: the log-density on the manifold ([`Model::log_prob`]), the
/// distance to it ([`Model::reconstruction_error`]) and the density of coordinates that training uses
/// ([`Model::coordinate_log_prob`]).
///
/// **Shapes**: data `[B, D]`, latents and coordinates `[B, N]`, context `[B, C]`. **Units**: data
/// units and nats. All results are differentiable by `backward`.
///
/// # Errors
/// Every method refuses arguments of another shape, dtype or device, a missing context, and
/// non-finite values, naming row and column.
pub trait Model: Debug + Send + Sync {
    /// Sizes, dtype, device.
    fn signature(&self) -> &ModelSignature;

    /// Log-density with respect to volume on the manifold, at the projection of `x`, `[B]`.
    fn log_prob(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;
    /// The projection of `x` onto the manifold, `[B, D]`.
    fn project(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;
    /// The base-space latent of the projection of `x`, `[B, N]`: standard normal under the model.
    fn encode(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;
    /// The point of the manifold with the given base-space latent: `decode(encode(x)) = project(x)`.
    fn decode(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;
    /// The rows `dx/du~_i` of the Jacobian of [`Model::decode`], `[B, N, D]`.
    fn decode_jacobian(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;

    /// The coordinates `u` on the manifold's chart of the projection of `x`, `[B, N]`.
    fn coordinates(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;
    /// Log-density of coordinates, `log p(ũ) - log|det J_h(ũ)|`, `[B]`: what the density phase
    /// maximises. It lacks the volume of the manifold, so it is no density of data. Alone among these
    /// methods it lets non-finite values through, to a result that is not finite either.
    fn coordinate_log_prob(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor>;

    /// `rows` base-space latents, `[rows, N]`.
    fn sample_latent(&self, rows: usize, stream: &mut Stream) -> Result<Tensor>;

    /// `rows` draws from the model, `[rows, D]`; a context has one row each.
    fn sample(&self, rows: usize, context: Option<&Tensor>, stream: &mut Stream) -> Result<Tensor> {
        self.decode(&self.sample_latent(rows, stream)?, context)
    }
    /// `|x - project(x)|`, the Euclidean distance in data units, `[B]`.
    fn reconstruction_error(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let difference = (x - self.project(x, context)?)?;
        Ok(difference.sqr()?.sum(D::Minus1)?.sqrt()?)
    }
}

/// Refuse non-finite values, naming the first.
pub(crate) fn check_finite(op: &'static str, arg: &'static str, x: &Tensor) -> Result<()> {
    // One pass decides; the place is only looked for when something is wrong.
    let total = (x.detach() * 0.)?.sum_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
    if total == 0. {
        return Ok(());
    }
    let columns = x.dims().last().copied().unwrap_or(1).max(1);
    let values = x.detach().flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
    match values.iter().position(|v| !v.is_finite()) {
        Some(i) => {
            let (row, column) = (i / columns, i % columns);
            Err(Error::NonFinite { op, arg, row, column, value: values[i] })
        }
        None => Ok(()),
    }
}
