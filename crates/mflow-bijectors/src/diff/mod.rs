//! One code path for values and for values with tangents (forward-mode differentiation).
//!
//! candle differentiates in reverse mode only and detaches its gradients, so a Jacobian that a loss
//! depends on must come from tangents carried through the layers. [`Diff`] lets a layer be written
//! once for plain tensors and for [`Dual`] numbers, so that value and tangent cannot drift apart.
mod dual;
mod value;

pub use dual::Dual;

use crate::Result;
use crate::bijector::{Bijector, Direction, Mapped};
use crate::host;
use crate::kernel::FusedLayer;
use crate::nn::{Conditioned, Linear};
use crate::univariate::Univariate;
use candle_core::{D, Device, Tensor};

mod sealed {
    pub trait Sealed {}
    impl Sealed for candle_core::Tensor {}
    impl Sealed for super::Dual {}
}

/// `1 / t`. Of views candle has it on the CPU and on CUDA devices only.
pub(crate) fn reciprocal(t: &Tensor) -> candle_core::Result<Tensor> {
    t.contiguous()?.recip()
}

/// [`Diff::conv2d`] of `images: [B, H, W, C]` as a product of matrices. candle's own convolution is slow on the CPU, its
/// gradients above all, and has wrong gradients of its kernel on Metal, where it reads the memory of a view as if it
/// were no view.
#[expect(clippy::integer_division_remainder_used, reason = "a side is 1 or more")]
fn convolution(images: &Tensor, weight: &Tensor, side: usize) -> candle_core::Result<Tensor> {
    let (b, h, w, c) = images.dims4()?;
    let pad = side / 2;
    let wide = images.pad_with_zeros(1, pad, pad)?.pad_with_zeros(2, pad, pad)?;
    // What each entry of the kernel sees.
    let shifts = (0..side * side).map(|e| wide.narrow(1, e / side, h)?.narrow(2, e % side, w));
    let seen = Tensor::cat(&shifts.collect::<candle_core::Result<Vec<_>>>()?, 3)?;
    let seen = seen.contiguous()?.reshape((b * h * w, side * side * c))?;
    seen.matmul(weight)?.reshape((b, h, w, weight.dim(1)?))
}

/// The same by candle, for devices whose libraries have convolutions.
fn convolution_of_device(
    images: &Tensor,
    weight: &Tensor,
    side: usize,
) -> candle_core::Result<Tensor> {
    let (inputs, outputs) = (images.dim(3)?, weight.dim(1)?);
    let kernel = weight.reshape((side, side, inputs, outputs))?.permute((3, 2, 0, 1))?;
    let images = images.permute((0, 3, 1, 2))?.contiguous()?;
    images.conv2d(&kernel.contiguous()?, side / 2, 1, 1, 1)?.permute((0, 2, 3, 1))?.contiguous()
}

/// A batch `[B, ..shape]`, with or without tangent rows `[B, K, ..shape]` (sealed: [`Tensor`] and
/// [`Dual`]).
///
/// Two primitives carry all arithmetic, [`Diff::linear`] and [`Diff::elementwise`]; four hooks reach
/// other code: [`Diff::through`] crosses a `dyn` boundary, [`Diff::fused`] offers a whole layer to a
/// CPU kernel, [`Diff::univariate`] an element-wise map with its conditioner's last layer,
/// [`Diff::pointwise`] an element-wise map with its parameters.
pub trait Diff: sealed::Sealed + Clone + Sized {
    /// The primal value, `[B, ..shape]`.
    fn value(&self) -> &Tensor;
    /// A value on which no tangent depends.
    fn constant(value: &Tensor) -> Self;
    /// A map linear in `self`; `f` sees `[B, R, ..shape]` (`R` = 1 for values, `K` for tangents).
    ///
    /// # Errors
    /// If `f` fails.
    fn linear(&self, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<Self>;
    /// An element-wise map: `value` = f(self), `derivative` = f'(self), evaluated only if needed.
    ///
    /// # Errors
    /// If `derivative` fails.
    fn elementwise(
        &self,
        value: Tensor,
        derivative: impl FnOnce() -> candle_core::Result<Tensor>,
    ) -> Result<Self>;
    /// Sum, broadcasting the event axes.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    fn add(&self, rhs: &Self) -> Result<Self>;
    /// Product, broadcasting the event axes; a constant factor may lack the batch axis.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    fn mul(&self, rhs: &Self) -> Result<Self>;
    /// Concatenate on the last axis.
    ///
    /// # Errors
    /// If the other axes differ.
    fn cat(parts: &[&Self]) -> Result<Self>;
    /// Apply an object-safe bijector: how a generic body crosses a `dyn` boundary.
    ///
    /// # Errors
    /// As the bijector.
    fn through(
        &self,
        map: &dyn Bijector,
        direction: Direction,
        context: Option<&Self>,
    ) -> Result<Mapped<Self>>;
    /// Offer a whole layer to its fused CPU kernel; `None` asks for the composition instead.
    ///
    /// # Errors
    /// As the kernel.
    fn fused<F: FusedLayer>(
        &self,
        kernel: &F,
        context: Option<&Self>,
    ) -> Result<Option<Mapped<Self>>>;
    /// `y = g(self; p)` with the parameters `p` of `net`, element-wise in `self: [B, T]`; the log-det
    /// is summed over `T`. Uses the fused gradient operation, which is one of the CPU.
    ///
    /// Giving the hook the network's last affine map, and not only its result, lets the tangents be contracted
    /// with it first: `dg/dp` times `W` costs `P + K` instead of `P K` per unit.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn univariate<U: Univariate>(
        &self,
        net: &Conditioned<Self>,
        map: &U,
        direction: Direction,
    ) -> Result<Mapped<Self>>;
    /// `y = g(self; p)` with the parameters `p: [B, T, P]`, element-wise in `self: [B, T]`; the
    /// log-det is summed over `T`. Uses the fused operations, which are those of the CPU.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn pointwise<U: Univariate>(
        &self,
        p: &Self,
        map: &U,
        direction: Direction,
    ) -> Result<Mapped<Self>>;
    /// Whether tangents of `x` and `context` fit each other; called once, by the argument checks.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] if both have tangents and their numbers differ.
    fn check_tangents(op: &'static str, x: &Self, context: &Self) -> Result<()>;

    /// Features `start .. start + len` of the last axis.
    ///
    /// # Errors
    /// If out of range.
    fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        self.linear(|t| match len {
            // Without a graph: GPUs have no gradients of nothing.
            0 => {
                let all = t.narrow(D::Minus1, start, len)?;
                host::zeros(all.shape(), t.dtype(), t.device())
            }
            _ => t.narrow(D::Minus1, start, len),
        })
    }
    /// Features of the last axis by `index` (`u32`, `[E]`).
    ///
    /// # Errors
    /// If out of range.
    fn select(&self, index: &Tensor) -> Result<Self> {
        self.linear(|t| {
            if t.elem_count() * index.elem_count() == 0 {
                // GPUs cannot pick nothing.
                let mut shape = t.dims().to_vec();
                shape.pop();
                shape.push(index.elem_count());
                return host::zeros(shape, t.dtype(), t.device());
            }
            t.contiguous()?.index_select(index, D::Minus1)
        })
    }
    /// `-self`.
    ///
    /// # Errors
    /// If the tensor operation fails; so for all that follow.
    fn neg(&self) -> Result<Self> {
        self.linear(Tensor::neg)
    }
    /// `c * self`.
    ///
    /// # Errors
    /// If the tensor operation fails.
    fn scale(&self, c: f64) -> Result<Self> {
        self.linear(|t| t * c)
    }
    /// Sum over the last axis.
    ///
    /// # Errors
    /// If the tensor operation fails.
    #[expect(clippy::indexing_slicing, reason = "points have a batch axis")]
    fn sum_last(&self) -> Result<Self> {
        self.linear(|t| match t.elem_count() {
            // candle cannot sum nothing.
            0 => host::zeros(&t.dims()[..t.rank() - 1], t.dtype(), t.device()),
            _ => t.sum(D::Minus1),
        })
    }
    /// Add a last axis of length 1.
    ///
    /// # Errors
    /// If the tensor operation fails.
    fn unsqueeze_last(&self) -> Result<Self> {
        self.linear(|t| t.unsqueeze(D::Minus1))
    }
    /// The same elements as events of another shape.
    ///
    /// # Errors
    /// If the number of elements differs.
    #[expect(clippy::indexing_slicing, reason = "points with tangents have a batch and a row axis")]
    fn reshape(&self, shape: &[usize]) -> Result<Self> {
        self.linear(|t| {
            let all: Vec<usize> = t.dims()[..2].iter().chain(shape).copied().collect();
            t.contiguous()?.reshape(all)
        })
    }
    /// Reorder the axes of events: axis `i` of the result is axis `axes[i]`.
    ///
    /// # Errors
    /// If `axes` is no permutation of the event axes.
    fn permute(&self, axes: &[usize]) -> Result<Self> {
        let all: Vec<usize> = [0, 1].into_iter().chain(axes.iter().map(|a| a + 2)).collect();
        self.linear(|t| t.permute(all.as_slice())?.contiguous())
    }
    /// `self W` on the last axis, `W: [in, out]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    fn matmul(&self, w: &Tensor) -> Result<Self> {
        self.linear(|t| {
            let mut shape = t.dims().to_vec();
            let rows: usize = shape.iter().take(shape.len() - 1).product();
            if let Some(last) = shape.last_mut() {
                *last = w.dim(1)?;
            }
            if w.dim(0)? == 0 || rows == 0 {
                return host::zeros(shape, t.dtype(), t.device());
            }
            t.contiguous()?.reshape((rows, w.dim(0)?))?.matmul(w)?.reshape(shape)
        })
    }
    /// The convolution of images `[H, W, C]` with a square kernel of an odd `side`, with zeros around them so that their
    /// size stays: `y[i, j] = Σ x[i + k - side/2, j + l - side/2] W[k, l]`, with the weight
    /// `W: [side, side, in, out]` as a matrix, `[side² in, out]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    fn conv2d(&self, weight: &Tensor, side: usize) -> Result<Self> {
        self.linear(|t| {
            let (b, r, h, w, c) = t.dims5()?;
            let out = weight.dim(1)?;
            if b * r == 0 {
                return host::zeros((b, r, h, w, out), t.dtype(), t.device());
            }
            let images = t.contiguous()?.reshape((b * r, h, w, c))?;
            let found = match t.device() {
                Device::Cuda(_) => convolution_of_device(&images, weight, side)?,
                _ => convolution(&images, weight, side)?,
            };
            found.reshape((b, r, h, w, out))
        })
    }
    /// `self W + b` on the last axis.
    ///
    /// # Errors
    /// If the shapes do not fit.
    fn affine(&self, map: &Linear) -> Result<Self> {
        self.matmul(&map.weight)?.add(&Self::constant(&map.bias))
    }
    /// Zero where `mask` (`u8`, shape of the value) is 0.
    ///
    /// # Errors
    /// If the shapes do not fit.
    fn masked(&self, mask: &Tensor) -> Result<Self> {
        let mask = mask.unsqueeze(1)?;
        self.linear(|t| match t.elem_count() {
            0 => Ok(t.clone()),
            _ => mask.broadcast_as(t.shape())?.where_cond(t, &t.zeros_like()?),
        })
    }
    /// One element of the last axis by `index: [B, T, 1]`, for `self: [B, T, P]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    fn gather(&self, index: &Tensor) -> Result<Self> {
        self.linear(|t| {
            let (b, r, n, _) = t.dims4()?;
            if b * r * n == 0 {
                return host::zeros((b, r, n), t.dtype(), t.device());
            }
            let index = index.unsqueeze(1)?.broadcast_as((b, r, n, 1))?.contiguous()?;
            t.contiguous()?.gather(&index, D::Minus1)?.squeeze(D::Minus1)
        })
    }
    /// `self + c`.
    ///
    /// # Errors
    /// If the tensor operation fails.
    fn shift(&self, c: f64) -> Result<Self> {
        self.elementwise((self.value() + c)?, || self.value().ones_like())
    }
    /// Difference.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    fn sub(&self, rhs: &Self) -> Result<Self> {
        self.add(&rhs.neg()?)
    }
    /// Quotient.
    ///
    /// # Errors
    /// If the shapes do not broadcast.
    fn div(&self, rhs: &Self) -> Result<Self> {
        let r = reciprocal(rhs.value())?;
        self.mul(&rhs.elementwise(r.clone(), || r.sqr()?.neg())?)
    }
    /// Exponential.
    ///
    /// # Errors
    /// If the tensor operation fails.
    fn exp(&self) -> Result<Self> {
        let y = self.value().exp()?;
        self.elementwise(y.clone(), || Ok(y))
    }
    /// Natural logarithm.
    ///
    /// # Errors
    /// If the tensor operation fails.
    fn ln(&self) -> Result<Self> {
        self.elementwise(self.value().log()?, || reciprocal(self.value()))
    }
    /// Square root.
    ///
    /// # Errors
    /// If the tensor operation fails.
    fn sqrt(&self) -> Result<Self> {
        let y = self.value().sqrt()?;
        self.elementwise(y.clone(), || y.recip()? * 0.5)
    }
    /// `max(self, 0)`, with derivative 0 at 0 (candle's own is 1 there) and NaN where `self` is.
    ///
    /// # Errors
    /// If the tensor operation fails.
    fn relu(&self) -> Result<Self> {
        self.masked(&self.value().le(0.)?.eq(0u8)?)
    }
    /// Hyperbolic tangent.
    ///
    /// # Errors
    /// If the tensor operation fails.
    fn tanh(&self) -> Result<Self> {
        let y = self.value().tanh()?;
        self.elementwise(y.clone(), || 1. - y.sqr()?)
    }
    /// Sine.
    ///
    /// # Errors
    /// If the tensor operation fails.
    fn sin(&self) -> Result<Self> {
        self.elementwise(self.value().sin()?, || self.value().cos())
    }
    /// Cosine.
    ///
    /// # Errors
    /// If the tensor operation fails.
    fn cos(&self) -> Result<Self> {
        self.elementwise(self.value().cos()?, || self.value().sin()?.neg())
    }
    /// Logistic function, by `tanh`: no overflow on either side.
    ///
    /// # Errors
    /// If the tensor operation fails.
    fn sigmoid(&self) -> Result<Self> {
        self.scale(0.5)?.tanh()?.shift(1.)?.scale(0.5)
    }
    /// `self * sigmoid(self)`.
    ///
    /// # Errors
    /// If the tensor operation fails.
    fn silu(&self) -> Result<Self> {
        self.mul(&self.sigmoid()?)
    }
    /// `ln(1 + exp(self))`; from 40 on it is the identity to the last digit of an f64.
    ///
    /// # Errors
    /// If the tensor operation fails.
    fn softplus(&self) -> Result<Self> {
        let below = self.value().le(40.)?;
        let low = self.masked(&below)?;
        let high = self.masked(&below.eq(0u8)?)?;
        low.exp()?.shift(1.)?.ln()?.masked(&below)?.add(&high)
    }
    /// Softmax over the last axis. (`candle_nn`'s cuts the graph without a word.)
    ///
    /// # Errors
    /// If the tensor operation fails.
    fn softmax(&self) -> Result<Self> {
        let top = self.value().max_keepdim(D::Minus1)?.detach();
        let e = self.sub(&Self::constant(&top))?.exp()?;
        e.div(&e.sum_last()?.unsqueeze_last()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host;
    use crate::stream::Stream;
    use candle_core::{DType, Var};

    /// Oracle: candle's convolution, which is right on the CPU.
    #[test]
    fn a_convolution_is_a_product_of_matrices() {
        let random = |name: &str, shape: &[usize]| {
            let t = Stream::new(1, name).normal_tensor(shape, DType::F64, &Device::Cpu).unwrap();
            Var::from_tensor(&t).unwrap()
        };
        for k in [1, 3, 5] {
            let (images, kernel) =
                (random("images", &[2, 4, 6, 3]), random("kernel", &[k * k * 3, 5]));
            let weights = random("weights", &[2, 4, 6, 5]);
            let all = |y: Tensor| -> Vec<f64> {
                let loss = (&y * weights.as_tensor()).unwrap().sum_all().unwrap();
                let grads = loss.backward().unwrap();
                let of = |v: &Var| grads.get(v).unwrap().clone();
                [y.detach(), of(&images), of(&kernel)]
                    .iter()
                    .flat_map(|t| host::values_f64(t).unwrap())
                    .collect()
            };
            let found = all(convolution(&images, &kernel, k).unwrap());
            let expected = all(convolution_of_device(&images, &kernel, k).unwrap());
            assert_eq!(found.len(), expected.len());
            for (a, b) in found.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-12 * (1. + b.abs()), "{a} and {b} with k = {k}");
            }
        }
    }
}
