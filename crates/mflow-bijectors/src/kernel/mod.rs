//! Fused CPU kernels: whole layers as single operations, with analytic backward passes.
//!
//! A kernel is an optimisation of a composition of candle ops that stands beside it and that it is
//! tested against. Kernels are single-threaded: threads belong to whoever cuts a batch into rows.
//! Loops over elements are written once over [`Real`] lanes and run with the widest instructions of
//! the machine, found at run time.
#![expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "index arithmetic on blocks whose lengths the operations at its edge check, once for each call"
)]
pub(crate) mod autoregressive;
mod buffer;
mod conv;
pub(crate) mod coupling;
#[cfg(feature = "cuda")]
pub mod cuda;
mod elements;
pub mod gemm;
mod gradients;
mod jet;
mod lanes;
pub(crate) mod lu;
pub(crate) mod matrix;
pub(crate) mod net;
pub(crate) mod permute;
pub(crate) mod pixels;
pub(crate) mod pointwise;
mod real;
pub(crate) mod rows;
mod tensor;
pub(crate) mod triangular;
pub(crate) mod univariate;

/// A number that kernels of other devices compute in, where the build has some.
#[cfg(not(feature = "cuda"))]
pub(crate) trait OnCuda {}
#[cfg(not(feature = "cuda"))]
impl<T> OnCuda for T {}
#[cfg(feature = "cuda")]
pub(crate) use cuda::OnCuda;

pub use gradients::gradients;
pub use jet::Jet;
pub use real::Real;
pub use tensor::split;

use crate::Result;
use crate::bijector::Mapped;
use candle_core::Tensor;
use rows::Rows;

/// Result of pushing tangents through a fused layer.
#[derive(Debug)]
#[must_use]
pub struct Pushed {
    /// The mapped points, `[B, ..shape]`.
    pub value: Tensor,
    /// The pushed rows, `[B, K, ..shape]`.
    pub tangents: Tensor,
    /// Natural log of `|det J|` of the map that was applied, `[B]`.
    pub log_abs_det: Tensor,
}

/// A layer whose kernel takes points and their tangents as one flat tensor: `x [B, D]`, the rows `[B, K, D]`
/// behind them, and behind these the log-dets `[B]` of the layers before, if there are any. The result is laid out the
/// same, with log-dets in any case, so that kernels follow one another without tensors between them.
pub(crate) trait PackedLayer {
    /// Whether the kernel of the points' device takes so many tangents of each.
    fn takes(&self, _: &Tensor, _tangents: usize) -> bool {
        true
    }
    /// Apply the layer; one without a context ignores that of others.
    fn packed(&self, points: &Tensor, rows: Rows, context: Option<&Tensor>) -> Result<Tensor>;
}

/// The kernel of a layer in one direction, for chains: see [`crate::Bijector::kernel`].
pub struct Kernel<'a>(pub(crate) Box<dyn PackedLayer + 'a>);

impl std::fmt::Debug for Kernel<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kernel")
    }
}

/// Kernels one after the other, as one layer.
pub(crate) struct Run<'a>(pub(crate) Vec<Kernel<'a>>);

impl PackedLayer for Run<'_> {
    fn takes(&self, x: &Tensor, tangents: usize) -> bool {
        self.0.iter().all(|kernel| kernel.0.takes(x, tangents))
    }
    fn packed(&self, points: &Tensor, rows: Rows, context: Option<&Tensor>) -> Result<Tensor> {
        let step = |points: Tensor, kernel: &Kernel<'_>| kernel.0.packed(&points, rows, context);
        self.0.iter().try_fold(points.clone(), step)
    }
}

impl<L: PackedLayer> FusedLayer for L {
    fn values(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Mapped<Tensor>> {
        let (points, n) = (x.dim(0)?, x.elem_count());
        let rows = Rows { points, tangents: 0 };
        let packed = self.packed(&x.contiguous()?.flatten_all()?, rows, context)?;
        let value = packed.narrow(0, 0, n)?.reshape(x.shape())?;
        Ok(Mapped { value, log_abs_det: packed.narrow(0, n, points)? })
    }

    fn push(
        &self,
        x: &Tensor,
        tangents: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Option<Pushed>> {
        if !self.takes(x, tangents.dim(1)?) {
            return Ok(None);
        }
        let (points, n, all) = (x.dim(0)?, x.elem_count(), tangents.elem_count());
        let rows = Rows { points, tangents: tangents.dim(1)? };
        let flat = Tensor::cat(&[&x.flatten_all()?, &tangents.flatten_all()?], 0)?;
        let packed = self.packed(&flat, rows, context)?;
        Ok(Some(Pushed {
            value: packed.narrow(0, 0, n)?.reshape(x.shape())?,
            tangents: packed.narrow(0, n, all)?.reshape(tangents.shape())?,
            log_abs_det: packed.narrow(0, n + all, points)?,
        }))
    }
}

/// A layer with a fused CPU implementation; [`crate::Diff::fused`] chooses between it and the
/// composition before any graph is built.
pub trait FusedLayer {
    /// Values and log-dets, differentiable by `backward`.
    ///
    /// # Errors
    /// If the kernel fails.
    fn values(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Mapped<Tensor>>;
    /// Values, tangents and log-dets, differentiable by `backward`; `None` if there is no such kernel, so
    /// that the composition is needed.
    ///
    /// # Errors
    /// If the kernel fails.
    fn push(
        &self,
        x: &Tensor,
        tangents: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Option<Pushed>>;
}
