//! The inverse of a lower triangular matrix, on any device.
use crate::Result;
use crate::coupling::indices;
use crate::kernel::triangular;
use crate::params::Params;
use crate::route::{Code, Route};
use candle_core::{D, Tensor};

/// Inverts lower triangular matrices of one size: by substitution where the device has a kernel, elsewhere by blocks.
///
/// With the inverses of its two diagonal blocks known, the inverse of a block twice as large is
///
/// ```text
/// [ A  0 ]⁻¹   [     A⁻¹       0  ]
/// [ C  B ]   = [ -B⁻¹ C A⁻¹   B⁻¹ ]
/// ```
///
/// From single numbers on, all blocks of one size are inverted together: `log2 D` rounds of a few batched products, as
/// exact as substitution, and nothing goes to the host.
#[derive(Debug)]
pub(super) struct LowerInverse {
    dim: usize,
    /// The numbers 0 and 1, with which a matrix is filled up to a power of two.
    filling: Tensor,
    /// Where the diagonal lies in the matrix, flat, with the filling behind it.
    diagonal: Tensor,
    /// The same of the blocks below the diagonal, from size 1 on.
    blocks: Vec<Tensor>,
}

impl LowerInverse {
    /// For matrices `[dim, dim]` with the dtype and on the device of `params`.
    #[expect(
        clippy::integer_division_remainder_used,
        reason = "entries are numbered only where there are some"
    )]
    pub(super) fn new(dim: usize, field: &str, params: &Params<'_>) -> Result<Self> {
        let (full, device) = (dim.next_power_of_two(), params.device());
        let (zero, one) = (dim * dim, dim * dim + 1);
        let at = |i: usize, j: usize| match i < dim && j < dim {
            true => i * dim + j,
            false => zero,
        };
        let diagonal: Vec<usize> =
            (0..full).map(|i| if i < dim { at(i, i) } else { one }).collect();
        let sizes = std::iter::successors(Some(1), |size| Some(2 * size));
        let blocks = sizes.take_while(|size| *size < full).map(|size| {
            let pairs = (0..full).step_by(2 * size);
            let entry = |first: usize, e: usize| at(first + size + e / size, first + e % size);
            let all = pairs.flat_map(|first| (0..size * size).map(move |e| entry(first, e)));
            indices(field, &all.collect::<Vec<_>>(), device)
        });
        let blocks = blocks.collect::<Result<Vec<_>>>()?;
        let filling = Tensor::new(&[0_f64, 1.], &candle_core::Device::Cpu)?;
        let filling = filling.to_dtype(params.dtype())?.to_device(device)?;
        Ok(Self { dim, filling, diagonal: indices(field, &diagonal, device)?, blocks })
    }

    /// The inverse of `l: [D, D]`, differentiable.
    pub(super) fn of(&self, l: &Tensor) -> Result<Tensor> {
        match Route::Auto.code(l.device()) {
            Code::CpuKernel | Code::CudaKernel => Ok(triangular::lower_inverse(l)?),
            Code::Composition => self.composed(l),
        }
    }

    fn composed(&self, l: &Tensor) -> Result<Tensor> {
        let fixed = l.detach();
        let flat = Tensor::cat(&[&fixed.flatten_all()?, &self.filling], 0)?;
        let mut inverse = flat.index_select(&self.diagonal, 0)?.recip()?.reshape(((), 1, 1))?;
        for index in &self.blocks {
            let (count, size, _) = inverse.dims3()?;
            let pairs = inverse.reshape((count / 2, 2, size, size))?;
            let half = |i: usize| pairs.narrow(1, i, 1)?.squeeze(1)?.contiguous();
            let (a, b) = (half(0)?, half(1)?);
            let c = flat.index_select(index, 0)?.reshape(a.shape())?;
            let below = b.matmul(&c)?.matmul(&a)?.neg()?;
            let above = Tensor::cat(&[&a, &a.zeros_like()?], D::Minus1)?;
            inverse = Tensor::cat(&[above, Tensor::cat(&[below, b], D::Minus1)?], 1)?;
        }
        let inverse = inverse.squeeze(0)?.narrow(0, 0, self.dim)?.narrow(1, 0, self.dim)?;
        let inverse = inverse.contiguous()?;
        if !l.track_op() {
            return Ok(inverse);
        }
        // d(L⁻¹) = -L⁻¹ dL L⁻¹: a term that is zero in value and right in its derivative.
        let change = inverse.matmul(&(&fixed - l)?)?.matmul(&inverse)?;
        Ok((inverse + change)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host;
    use crate::params::ParamStore;
    use crate::stream::Stream;
    use candle_core::{DType, Device, Var};

    /// Oracle: the kernel, whose own oracle is in the laws of the layers.
    #[test]
    fn blocks_invert_as_substitution_does() {
        for dim in [1, 2, 3, 4, 5, 7, 8, 40] {
            let mut store = ParamStore::new(0, DType::F64, &Device::Cpu);
            let of = store.build(|_| true, |params| LowerInverse::new(dim, "dim", params)).unwrap();
            let numbers = Stream::new(1, "matrix").normal(dim * dim);
            let entry = |e: usize| match (e / dim, e % dim) {
                (i, j) if i == j => 1. + numbers[e].abs(),
                (i, j) if i > j => numbers[e],
                _ => 0.,
            };
            let l: Vec<f64> = (0..dim * dim).map(entry).collect();
            let l = Var::from_vec(l, (dim, dim), &Device::Cpu).unwrap();
            let weights = Stream::new(2, "weights").normal(dim * dim);
            let weights = Tensor::from_vec(weights, (dim, dim), &Device::Cpu).unwrap();
            let gradient = |inverse: &Tensor| {
                let loss = (inverse * &weights).unwrap().sum_all().unwrap();
                let all = loss.backward().unwrap();
                host::values_f64(all.get(&l).unwrap()).unwrap()
            };
            let (found, expected) =
                (of.composed(&l).unwrap(), triangular::lower_inverse(&l).unwrap());
            let scale = 1. + host::scalar(&expected.abs().unwrap().max_all().unwrap()).unwrap();
            let near = |a: Vec<f64>, b: Vec<f64>, scale: f64, what: &str| {
                for (a, b) in a.iter().zip(&b) {
                    assert!((a - b).abs() < 1e-12 * scale, "{what} of size {dim}: {a} and {b}");
                }
            };
            let values = |t: &Tensor| host::values_f64(t).unwrap();
            near(values(&found), values(&expected), scale, "inverse");
            near(gradient(&found), gradient(&expected), scale * scale * dim as f64, "gradient");
        }
    }
}
