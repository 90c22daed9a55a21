//! A linear map by its LU factors as one operation: points, their tangents, and the log-det.
#[cfg(feature = "cuda")]
use super::cuda::lu::CudaLu;
use super::gemm::{Matrix, MatrixMut, gemm};
use super::gradients;
use super::lanes::Element;
use super::rows::{Rows, column_sums};
#[cfg(feature = "cuda")]
use super::tensor::split;
use super::tensor::{slice, with_slice};
use super::triangular::{Divisor, inverse};
use crate::bijector::Direction;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use std::marker::PhantomData;

/// `(points, theta)`: `points` and the result are packed ([`super::PackedLayer`]). `theta` is the entries below the diagonal of `L`, those
/// above the diagonal of `U`, the diagonal of `U` before `least + softplus`, and the bias.
///
/// As rows, `forward` is `w = x Uᵀ`, `y = w Lᵀ + b`, and `inverse` is `w = (y - b) L⁻ᵀ`, `x = w U⁻ᵀ`.
pub(crate) struct LuOp<T> {
    pub(crate) dim: usize,
    pub(crate) direction: Direction,
    pub(crate) rows: Rows,
    /// The least entry on the diagonal of `U`.
    pub(crate) least: f64,
    pub(crate) element: PhantomData<T>,
}

/// A matrix of this size is not inverted for rows that are fewer than this part of it: they are divided by its factors.
const LARGE: usize = 256;
const FEW: usize = 4;

/// What rows are multiplied by: for `inverse` the inverses of the factors, or the factors to divide by.
struct Factors<T> {
    lower: Vec<T>,
    upper: Vec<T>,
    divides: bool,
    bias: Vec<T>,
    /// The diagonal of `U`, and its derivative by what stands in `theta`.
    diagonal: Vec<[f64; 2]>,
}

/// The transpose of a `[n, n]` matrix.
fn transposed(n: usize, a: &[f64]) -> Vec<f64> {
    (0..n * n).map(|e| a[e % n * n + e / n]).collect()
}

impl<T: Element> LuOp<T> {
    fn factors(&self, theta: &[T]) -> Result<Factors<T>> {
        let d = self.dim;
        let off = d * d.saturating_sub(1) / 2;
        let mut values = theta.iter().copied();
        let mut next = || values.next().unwrap_or_default();
        let (mut lower, mut upper) = (vec![T::default(); d * d], vec![T::default(); d * d]);
        for i in 0..d {
            lower[i * d + i] = T::from_f64(1.);
            lower[i * d..i * d + i].fill_with(&mut next);
        }
        for i in 0..d {
            upper[i * d + i + 1..(i + 1) * d].fill_with(&mut next);
        }
        let diagonal: Vec<[f64; 2]> = (0..d)
            .map(|i| {
                let raw = next().to_f64();
                // softplus without overflow, and the logistic function.
                let softplus = raw.max(0.) + (-raw.abs()).exp().ln_1p();
                let entry = self.least + softplus;
                upper[i * d + i] = T::from_f64(entry);
                [entry, 1. / (1. + (-raw).exp())]
            })
            .collect();
        let divides =
            self.direction == Direction::Inverse && d >= LARGE && FEW * self.rows.len() < d;
        if self.direction == Direction::Inverse && !divides {
            let precise = |v: &[T]| v.iter().map(|v| v.to_f64()).collect::<Vec<f64>>();
            let own = |v: Vec<f64>| v.into_iter().map(T::from_f64).collect();
            let mut turned = transposed(d, &precise(&upper));
            for (i, [entry, _]) in diagonal.iter().enumerate() {
                turned[i * d + i] = *entry;
            }
            upper = own(transposed(d, &inverse(d, &turned)?));
            lower = own(inverse(d, &precise(&lower))?);
        }
        Ok(Factors { lower, upper, divides, bias: theta[2 * off + d..].to_vec(), diagonal })
    }

    /// `a L` or `a Lᵀ` of rows and the lower factor, or its inverse.
    fn by_lower(&self, a: &[T], of: &Factors<T>, transpose: bool) -> Result<Vec<T>> {
        match of.divides {
            true => self.divided(a, &of.lower, false, transpose),
            false => self.times(a, &of.lower, transpose),
        }
    }

    /// `a U` or `a Uᵀ` of rows and the upper factor, or its inverse.
    fn by_upper(&self, a: &[T], of: &Factors<T>, transpose: bool) -> Result<Vec<T>> {
        match of.divides {
            true => self.divided(a, &of.upper, true, transpose),
            false => self.times(a, &of.upper, transpose),
        }
    }

    fn divided(&self, a: &[T], entries: &[T], upper: bool, transpose: bool) -> Result<Vec<T>> {
        let mut out = a.to_vec();
        Divisor { n: self.dim, entries, upper, transpose }.divide(&mut out)?;
        Ok(out)
    }

    /// `a B` or `a Bᵀ` of rows and a `[D, D]` matrix.
    fn times(&self, a: &[T], b: &[T], transpose: bool) -> Result<Vec<T>> {
        let (n, d) = (self.rows.len(), self.dim);
        let mut out = vec![T::default(); n * d];
        let b = Matrix::new(b, d, d);
        let b = if transpose { b.t() } else { b };
        gemm(MatrixMut::new(&mut out, n, d), false, Matrix::new(a, n, d), b)?;
        Ok(out)
    }

    /// `x` or `y`, with the bias added to (`1`) or taken from (`-1`) the points.
    fn shift(&self, rows: &mut [T], bias: &[T], sign: f64) {
        let points = rows.chunks_exact_mut(self.dim).take(self.rows.points);
        for row in points {
            row.iter_mut().zip(bias).for_each(|(v, b)| *v += *b * T::from_f64(sign));
        }
    }

    /// `(w, result)`.
    fn evaluate(&self, of: &Factors<T>, points: &[T]) -> Result<[Vec<T>; 2]> {
        Ok(match self.direction {
            Direction::Forward => {
                let w = self.by_upper(points, of, true)?;
                let mut y = self.by_lower(&w, of, true)?;
                self.shift(&mut y, &of.bias, 1.);
                [w, y]
            }
            Direction::Inverse => {
                let mut shifted = points.to_vec();
                self.shift(&mut shifted, &of.bias, -1.);
                let w = self.by_lower(&shifted, of, true)?;
                let x = self.by_upper(&w, of, true)?;
                [w, x]
            }
        })
    }

    /// `log|det|` of the map that was applied.
    fn log_det(&self, of: &Factors<T>) -> T {
        let sum: f64 = of.diagonal.iter().map(|[u, _]| u.ln()).sum();
        T::from_f64(if self.direction == Direction::Forward { sum } else { -sum })
    }

    /// `aᵀ b` of rows, `[D, D]`.
    fn outer(&self, a: &[T], b: &[T]) -> Result<Vec<T>> {
        let (n, d) = (self.rows.len(), self.dim);
        let mut out = vec![T::default(); d * d];
        let (a, b) = (Matrix::new(a, n, d), Matrix::new(b, n, d));
        gemm(MatrixMut::new(&mut out, d, d), false, a.t(), b)?;
        Ok(out)
    }

    /// Gradients of points and of `theta`.
    fn backward(&self, theta: &[T], points: &[T], g: &[T]) -> Result<[Vec<T>; 2]> {
        let (d, of) = (self.dim, self.factors(theta)?);
        let (points, before) = points.split_at(self.rows.len() * d);
        let (g, g_log_det) = g.split_at(points.len());
        let [w, result] = self.evaluate(&of, points)?;
        let sign = T::from_f64(if self.direction == Direction::Forward { 1. } else { -1. });
        let (mut g_points, [g_lower, g_upper]) = match self.direction {
            Direction::Forward => {
                let g_w = self.by_lower(g, &of, false)?;
                let g_x = self.by_upper(&g_w, &of, false)?;
                (g_x, [self.outer(g, &w)?, self.outer(&g_w, points)?])
            }
            // d(L⁻¹) = -L⁻¹ dL L⁻¹: the same products with the inverses, and a minus.
            Direction::Inverse => {
                let g_w = self.by_upper(g, &of, false)?;
                let g_y = self.by_lower(&g_w, &of, false)?;
                let of_factors = [self.outer(&g_y, &w)?, self.outer(&g_w, &result)?];
                (g_y, of_factors)
            }
        };
        // In the order of theta.
        let mut g_theta = Vec::with_capacity(d * (d + 1));
        for i in 0..d {
            g_theta.extend(g_lower[i * d..i * d + i].iter().map(|g| *g * sign));
        }
        for i in 0..d {
            g_theta.extend(g_upper[i * d + i + 1..(i + 1) * d].iter().map(|g| *g * sign));
        }
        let of_log_det = g_log_det.iter().fold(0., |sum, g| sum + g.to_f64());
        g_theta.extend((0..d).map(|i| {
            let [u, slope] = of.diagonal[i];
            sign * T::from_f64((g_upper[i * d + i].to_f64() + of_log_det / u) * slope)
        }));
        let mut g_bias = vec![T::default(); d];
        let shifted = if self.direction == Direction::Forward { g } else { &g_points };
        column_sums(&shifted[..self.rows.points * d], &mut g_bias);
        g_theta.extend(g_bias.into_iter().map(|g| g * sign));
        g_points.extend_from_slice(&g_log_det[..before.len()]);
        Ok([g_points, g_theta])
    }
}

impl<T: Element> CustomOp2 for LuOp<T> {
    fn name(&self) -> &'static str {
        "lu-linear"
    }
    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let of = self.factors(slice::<T>(s2, l2)?)?;
        let (points, before) = slice::<T>(s1, l1)?.split_at(self.rows.len() * self.dim);
        let [_, mut out] = self.evaluate(&of, points)?;
        let log_det = self.log_det(&of);
        if before.is_empty() {
            out.extend(std::iter::repeat_n(log_det, self.rows.points));
        } else {
            out.extend(before.iter().map(|v| *v + log_det));
        }
        let len = out.len();
        Ok((T::to_cpu_storage_owned(out), len.into()))
    }
    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let out = self.cuda().forward::<T>((s1, l1), (s2, l2))?;
        Ok((out, (self.rows.len() * self.dim + self.rows.points).into()))
    }
    fn bwd(
        &self,
        points: &Tensor,
        theta: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if points.device().is_cuda() {
            let pull = CudaPull::<T> { of: self, g: g.contiguous()? };
            let packed = points.contiguous()?.apply_op2_no_bwd(theta, &pull)?;
            let parts = split(&packed, &[points.elem_count(), theta.elem_count()])?;
            let of_theta = gradients::of_parameter_there(theta, parts[1].reshape(theta.shape())?)?;
            return Ok((Some(parts[0].reshape(points.shape())?), of_theta));
        }
        let gradients = with_slice::<T, _>(points, |points| {
            with_slice::<T, _>(theta, |theta| {
                with_slice::<T, _>(g, |g| self.backward(theta, points, g))
            })
        });
        let [g_points, g_theta] = gradients????;
        let g_points = Tensor::from_vec(g_points, points.shape(), points.device())?;
        Ok((Some(g_points), gradients::of_parameter(theta, g_theta)?))
    }
}

#[cfg(feature = "cuda")]
impl<T: Element> LuOp<T> {
    fn cuda(&self) -> CudaLu {
        let Self { dim, direction, rows, least, .. } = *self;
        CudaLu { dim, direction, rows, least }
    }
}

/// The pullback on a CUDA device, with the cotangents of the results.
#[cfg(feature = "cuda")]
struct CudaPull<'a, T> {
    of: &'a LuOp<T>,
    g: Tensor,
}

#[cfg(feature = "cuda")]
impl<T: Element> CustomOp2 for CudaPull<'_, T> {
    fn name(&self) -> &'static str {
        "lu-linear-pull"
    }
    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Err(candle_core::Error::Msg("a CUDA kernel was given tensors of the CPU".into()))
    }
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let out = self.of.cuda().pull::<T>((s1, l1), (s2, l2), &self.g)?;
        Ok((out, (l1.shape().elem_count() + l2.shape().elem_count()).into()))
    }
}
