//! The sequential direction of an autoregressive layer as one operation.
use super::buffer::Buffer;
use super::coupling::{Cotangents, Gradients, Input, Plan};
use super::elements::{Features, MapRows};
use super::gemm::{Matrix, MatrixMut, gemm};
use super::lanes::{Element, dispatch};
use super::rows::Rows;
use super::tensor::{slice, with_slice};
use super::{gradients, net};
use crate::bijector::Direction;
use crate::univariate::ScalarMap;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use std::marker::PhantomData;
use std::sync::Arc;

impl<U: ScalarMap> Plan<U> {
    /// Solve `F(x) = y` for one feature after the other: `(x [B, D], -ln |det F'| [B])`.
    fn solve<T: Element>(
        &self,
        theta: &[T],
        y: &[T],
        context: &[T],
        rows: usize,
    ) -> Result<(Vec<T>, Vec<T>)> {
        let (d, c, width) = (self.dim, self.net.context, self.net.config.hidden);
        let (per, outputs) = (self.map.parameters(), self.net.outputs);
        let (weight, bias) = self.last(theta);
        let (mut x, mut log_det) = (vec![T::default(); rows * d], vec![T::default(); rows]);
        let mut p = Buffer::stale(per * rows);
        for i in 0..d {
            let mut input = Buffer::stale(rows * (d + c));
            for (b, row) in input.chunks_exact_mut(d + c).enumerate() {
                row[..d].copy_from_slice(&x[b * d..(b + 1) * d]);
                row[d..].copy_from_slice(&context[b * c..(b + 1) * c]);
            }
            let all = Rows { points: rows, tangents: 0 };
            let hidden = net::forward(&self.net, theta, input, context, all, false)?.hidden;
            let w = Matrix::with_stride(&weight[i * per..], width, per, outputs);
            let hidden = Matrix::new(&hidden, rows, width);
            gemm(MatrixMut::new(&mut p, per, rows), false, w.t(), hidden.t())?;
            let moved = Buffer::collect(rows, (0..rows).map(|b| y[b * d + i]));
            dispatch(MapRows {
                map: self.map,
                features: Features { dim: d, moved: &[i] },
                direction: Direction::Inverse,
                moved: &moved,
                p: &p,
                bias: &bias[i * per..],
                y: &mut x,
                log_det: &mut log_det,
            });
        }
        Ok((x, log_det))
    }

    /// Gradients with respect to `y`, context and parameters, given those of `x` and of the log-det.
    ///
    /// With `ℓ = ln |det F'|`, so that the log-det here is `-ℓ`: the cotangent of `x` in all is
    /// `v = g_x - g_l ∂ℓ/∂x`, that of `y` is `λ = J⁻ᵀ v`, and those of context and parameters are
    /// `-λᵀ ∂F - g_l ∂ℓ`. `J` is triangular: substitution by `λ <- (v - (Jᵀ - diag) λ)/diag` is exact
    /// after `D` rounds.
    fn solve_backward<T: Element>(
        &self,
        theta: &[T],
        x: &[T],
        context: &[T],
        g_x: &[T],
        g_log_det: &[T],
    ) -> Result<[Vec<T>; 3]> {
        let rows = g_log_det.len();
        let forward = Direction::Forward;
        let input = Input::points(x, context, rows);
        let saved = self.evaluate(forward, theta, input, true)?.saved;
        let pull = |y: &[T], log_det: &[T]| {
            let g = Cotangents { y, tangents: &[], log_det };
            self.backward(forward, theta, input, &saved, g)
        };
        let none = vec![T::default(); rows];
        let minus: Vec<T> = g_log_det.iter().map(|g| T::default() - *g).collect();
        let mut v = pull(&vec![T::default(); x.len()], &minus)?.x;
        v.iter_mut().zip(g_x).for_each(|(v, g)| *v += *g);
        let [diagonal, _] = self.derivatives(forward, theta, &saved, rows);
        let mut lambda: Vec<T> = v.iter().zip(&*diagonal).map(|(v, d)| *v / *d).collect();
        for _ in 1..self.dim {
            let pulled = pull(&lambda, &none)?.x;
            for (i, l) in lambda.iter_mut().enumerate() {
                *l = (v[i] - (pulled[i] - diagonal[i] * *l)) / diagonal[i];
            }
        }
        let negative: Vec<T> = lambda.iter().map(|l| T::default() - *l).collect();
        let Gradients { context, theta, .. } = pull(&negative, &minus)?;
        Ok([lambda, context, theta])
    }
}

/// `(y [B, D], context [B, C] or an empty tensor, theta) -> [B D + B]`: values, then log-dets.
pub(crate) struct SolveOp<U, T> {
    plan: Arc<Plan<U>>,
    element: PhantomData<T>,
}

impl<U, T> SolveOp<U, T> {
    pub(crate) fn new(plan: Arc<Plan<U>>) -> Self {
        Self { plan, element: PhantomData }
    }
}

impl<U: ScalarMap, T: Element> CustomOp3 for SolveOp<U, T> {
    fn name(&self) -> &'static str {
        "autoregressive-inverse"
    }
    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let rows = l1.dims()[0];
        let (y, context, theta) = (slice::<T>(s1, l1)?, slice::<T>(s2, l2)?, slice::<T>(s3, l3)?);
        let (mut x, log_det) = self.plan.solve(theta, y, context, rows)?;
        x.extend(log_det);
        let len = x.len();
        Ok((T::to_cpu_storage_owned(x), len.into()))
    }
    fn bwd(
        &self,
        y: &Tensor,
        context: &Tensor,
        theta: &Tensor,
        solved: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let n = y.elem_count();
        let gradients = with_slice::<T, _>(theta, |theta| {
            with_slice::<T, _>(context, |c| {
                with_slice::<T, _>(solved, |x| {
                    with_slice::<T, _>(g, |g| {
                        let (g_x, g_log_det) = g.split_at(n);
                        self.plan.solve_backward(theta, &x[..n], c, g_x, g_log_det)
                    })
                })
            })
        });
        let [g_y, g_context, g_theta] = gradients?????;
        let tensor = |g: Vec<T>, like: &Tensor| Tensor::from_vec(g, like.shape(), y.device());
        let wanted =
            |g: Vec<T>, like: &Tensor| like.track_op().then(|| tensor(g, like)).transpose();
        let g_context = if self.plan.net.context > 0 { wanted(g_context, context)? } else { None };
        Ok((Some(tensor(g_y, y)?), g_context, gradients::of_parameter(theta, g_theta)?))
    }
}
