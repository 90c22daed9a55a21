//! Triangular matrices: their inverses in f64, and rows that are divided by one.
use super::gemm::{Matrix, MatrixMut, gemm};
use super::lanes::Element;
use super::tensor::slice;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};
use std::marker::PhantomData;

/// The inverse of the lower triangular `[D, D]` matrix `l`, differentiable.
pub(crate) fn lower_inverse(l: &Tensor) -> Result<Tensor> {
    let l = l.contiguous()?;
    match l.dtype() {
        DType::F64 => l.apply_op1(LowerInverse::<f64>(PhantomData)),
        _ => l.apply_op1(LowerInverse::<f32>(PhantomData)),
    }
}

/// A matrix up to so many rows is inverted by substitution alone; of a larger one most work is products of its parts.
const SMALL: usize = 128;

/// The inverse of a lower triangular `[n, n]` matrix. Of one with the blocks `A`, `0` above `B`, `C` it has `A⁻¹`, `0` above
/// `-C⁻¹ B A⁻¹`, `C⁻¹`.
pub(super) fn inverse(n: usize, l: &[f64]) -> Result<Vec<f64>> {
    if n <= SMALL {
        return Ok(substitute(n, l));
    }
    let (h, rest) = (n / 2, n - n / 2);
    let block = |rows: std::ops::Range<usize>, cols: std::ops::Range<usize>| -> Vec<f64> {
        rows.flat_map(|i| l[i * n..][cols.clone()].iter().copied()).collect()
    };
    let (a, c) = (inverse(h, &block(0..h, 0..h))?, inverse(rest, &block(h..n, h..n))?);
    let mut product = vec![0.; rest * h];
    let below = Matrix::with_stride(&l[h * n..], rest, h, n);
    gemm(MatrixMut::new(&mut product, rest, h), false, below, Matrix::new(&a, h, h))?;
    let mut out = vec![0.; n * n];
    let below = MatrixMut::with_stride(&mut out[h * n..], rest, h, n);
    gemm(below, false, Matrix::new(&c, rest, rest), Matrix::new(&product, rest, h))?;
    for (i, row) in out.chunks_exact_mut(n).enumerate() {
        match i.checked_sub(h) {
            None => row[..h].copy_from_slice(&a[i * h..(i + 1) * h]),
            Some(i) => {
                row[..h].iter_mut().for_each(|v| *v = -*v);
                row[h..].copy_from_slice(&c[i * rest..(i + 1) * rest]);
            }
        }
    }
    Ok(out)
}

/// A triangular `[n, n]` matrix, or its transpose, that rows are divided by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Divisor<'a, T> {
    pub(super) n: usize,
    pub(super) entries: &'a [T],
    /// Whether `entries` has zeros below the diagonal, and not above.
    pub(super) upper: bool,
    /// Whether the transpose of `entries` is meant.
    pub(super) transpose: bool,
}

impl<T: Element> Divisor<'_, T> {
    fn at(&self, i: usize, j: usize) -> T {
        self.entries[if self.transpose { j * self.n + i } else { i * self.n + j }]
    }

    /// Rows and columns from these on, so many.
    fn block(&self, [i, rows]: [usize; 2], [j, cols]: [usize; 2]) -> Matrix<'_, T> {
        match self.transpose {
            false => Matrix::with_stride(&self.entries[i * self.n + j..], rows, cols, self.n),
            true => Matrix::with_stride(&self.entries[j * self.n + i..], cols, rows, self.n).t(),
        }
    }

    /// `x M⁻¹` of the rows of `x`, in its place, by substitution: for few rows far less work than the inverse. Columns are taken in
    /// blocks, so that most of it is products.
    pub(super) fn divide(&self, x: &mut [T]) -> Result<()> {
        const BLOCK: usize = 64;
        let n = self.n;
        let rows = x.len() / n.max(1);
        // A column hangs on those before it if M is upper triangular, else on those behind it.
        let rises = self.upper != self.transpose;
        let blocks = n.div_ceil(BLOCK);
        let mut done = vec![T::default(); rows * BLOCK];
        for k in 0..blocks {
            let start = BLOCK * if rises { k } else { blocks - 1 - k };
            let end = (start + BLOCK).min(n);
            let width = end - start;
            for (row, done) in x.chunks_exact_mut(n).zip(done.chunks_exact_mut(width)) {
                for step in 0..width {
                    let j = if rises { start + step } else { end - 1 - step };
                    let known = if rises { start..j } else { j + 1..end };
                    let sum = known.fold(T::default(), |sum, i| sum + row[i] * self.at(i, j));
                    row[j] = (row[j] - sum) / self.at(j, j);
                    done[j - start] = T::default() - row[j];
                }
            }
            let left = if rises { end..n } else { 0..start };
            if left.is_empty() || rows == 0 {
                continue;
            }
            let others = MatrixMut::with_stride(&mut x[left.start..], rows, left.len(), n);
            let done = Matrix::new(&done[..rows * width], rows, width);
            gemm(others, true, done, self.block([start, width], [left.start, left.len()]))?;
        }
        Ok(())
    }
}

/// The inverse of a lower triangular `[n, n]` matrix, row by row.
fn substitute(n: usize, l: &[f64]) -> Vec<f64> {
    let mut inverse = vec![0.; n * n];
    for i in 0..n {
        // Row i is (eᵢ - Σ_k l_ik row_k)/l_ii: rows lie together in memory.
        let (known, rest) = inverse.split_at_mut(i * n);
        let row = &mut rest[..n];
        for (k, other) in known.chunks_exact(n).enumerate() {
            let factor = l[i * n + k];
            row[..=k].iter_mut().zip(other).for_each(|(r, o)| *r -= factor * o);
        }
        row[i] += 1.;
        row[..=i].iter_mut().for_each(|r| *r /= l[i * n + i]);
    }
    inverse
}

struct LowerInverse<T>(PhantomData<T>);

impl<T: Element> CustomOp1 for LowerInverse<T> {
    fn name(&self) -> &'static str {
        "lower-inverse"
    }
    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let n = layout.dims()[0];
        let l: Vec<f64> = slice::<T>(storage, layout)?.iter().map(|v| v.to_f64()).collect();
        let inverse = inverse(n, &l)?.into_iter().map(T::from_f64).collect();
        Ok((T::to_cpu_storage_owned(inverse), (n, n).into()))
    }
    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let inverse = super::cuda::triangular::lower_inverse::<T>(storage, layout)?;
        Ok((inverse, layout.shape().clone()))
    }
    /// `d(L⁻¹) = -L⁻¹ dL L⁻¹`, so the cotangent is `-L⁻ᵀ g L⁻ᵀ`.
    fn bwd(&self, _: &Tensor, inverse: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let t = inverse.t()?;
        Ok(Some(t.matmul(g)?.matmul(&t)?.neg()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Stream;

    /// Dominated by its diagonal, so that its inverse is no larger than it.
    fn triangle(n: usize, upper: bool) -> Vec<f64> {
        let mut a = Stream::new(1, "triangle").normal(n * n);
        for i in 0..n {
            for j in 0..n {
                let entry = &mut a[i * n + j];
                *entry = match (i == j, (j > i) == upper) {
                    (true, _) => 1.5 + entry.abs(),
                    (false, true) => *entry / (n as f64).sqrt() / 3.,
                    (false, false) => 0.,
                };
            }
        }
        a
    }

    fn product(n: usize, a: &[f64], b: Matrix<'_, f64>) -> Vec<f64> {
        let rows = a.len() / n;
        let mut out = vec![0.; a.len()];
        gemm(MatrixMut::new(&mut out, rows, n), false, Matrix::new(a, rows, n), b).unwrap();
        out
    }

    /// Oracle: the identity.
    #[test]
    fn the_inverse_in_blocks_is_an_inverse() {
        for n in [1, 7, SMALL, SMALL + 1, 301, 600] {
            let l = triangle(n, false);
            let inverse = inverse(n, &l).unwrap();
            let identity = product(n, &inverse, Matrix::new(&l, n, n));
            for (e, v) in identity.iter().enumerate() {
                let expected = if e / n == e % n { 1. } else { 0. };
                assert!((v - expected).abs() < 1e-11, "{n}: {v} at {e}");
            }
        }
    }

    /// Oracle: the product with the matrix gives the rows again.
    #[test]
    fn divided_rows_times_the_matrix_are_the_rows() {
        for (n, rows) in [(1, 2), (63, 3), (64, 1), (65, 2), (200, 5), (300, 0)] {
            for (upper, transpose) in [(false, false), (false, true), (true, false), (true, true)] {
                let entries = triangle(n, upper);
                let x = Stream::new(2, "rows").normal(rows * n);
                let mut divided = x.clone();
                let of = Divisor { n, entries: &entries, upper, transpose };
                of.divide(&mut divided).unwrap();
                let m = Matrix::new(&entries, n, n);
                let again = product(n, &divided, if transpose { m.t() } else { m });
                for (a, b) in again.iter().zip(&x) {
                    assert!((a - b).abs() < 1e-10, "{n} {upper} {transpose}: {a}, expected {b}");
                }
            }
        }
    }
}
