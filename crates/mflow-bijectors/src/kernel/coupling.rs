//! A whole coupling layer as one operation: conditioner network, element-wise map, log-det.
//!
//! The parameters of the element-wise map are computed transposed, `[T P, B]`, so that one register
//! holds the same parameter of neighbouring rows and the scalar arithmetic runs in lanes.
use super::Pushed;
use super::gemm::{Matrix, MatrixMut, gemm};
use super::lanes::{Element, dispatch, registers};
use super::residual::{self, Activations};
use super::rows::{dot, sum};
use super::tensor::{slice, with_slice};
use crate::bijector::Direction;
use crate::nn::ResidualNet;
use crate::spline::{Point, ScalarMap};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use pulp::{Simd, WithSimd};
use std::sync::{Arc, Mutex, PoisonError};

/// What a coupling layer is: which features it keeps and moves, by which network and map.
#[derive(Clone, Debug)]
pub(crate) struct Plan<U> {
    pub(crate) dim: usize,
    pub(crate) keep: Vec<usize>,
    pub(crate) moved: Vec<usize>,
    pub(crate) net: ResidualNet,
    pub(crate) map: U,
}

/// One evaluation, with what the backward pass needs.
struct Evaluated<T> {
    y: Vec<T>,
    log_det: Vec<T>,
    saved: Saved<T>,
}

struct Saved<T> {
    /// Moved features, `[T, B]`.
    moved: Vec<T>,
    net: Activations<T>,
    /// Parameters of the map before their bias, `[T P, B]`.
    p: Vec<T>,
}

/// The rows of `x: [B, D]` as the input of the network and as `[T, B]` of moved features.
fn gather<T: Element, U>(plan: &Plan<U>, x: &[T], context: &[T], rows: usize) -> (Vec<T>, Vec<T>) {
    let (d, c) = (plan.dim, plan.net.context);
    let mut input = Vec::with_capacity(rows * (plan.keep.len() + c));
    for b in 0..rows {
        input.extend(plan.keep.iter().map(|&k| x[b * d + k]));
        input.extend_from_slice(&context[b * c..(b + 1) * c]);
    }
    let moved = plan.moved.iter().flat_map(|&k| (0..rows).map(move |b| x[b * d + k])).collect();
    (input, moved)
}

impl<U: ScalarMap> Plan<U> {
    /// Number of outputs of the network, `T P`.
    fn outputs(&self) -> usize {
        self.moved.len() * self.map.parameters()
    }

    /// The last affine map's `(weight, bias)`.
    fn last<'a, T>(&self, theta: &'a [T]) -> (&'a [T], &'a [T]) {
        let n = self.outputs();
        let (rest, bias) = theta.split_at(theta.len() - n);
        (&rest[rest.len() - n * self.net.config.hidden..], bias)
    }

    fn evaluate<T: Element>(
        &self,
        direction: Direction,
        theta: &[T],
        x: &[T],
        context: &[T],
        rows: usize,
    ) -> Result<Evaluated<T>> {
        let (width, outputs) = (self.net.config.hidden, self.outputs());
        let (input, moved) = gather(self, x, context, rows);
        let net = residual::forward(&self.net, theta, input, context, rows)?;
        let (weight, bias) = self.last(theta);
        let mut p = vec![T::default(); outputs * rows];
        let hidden = Matrix::new(&net.hidden, rows, width);
        let weight = Matrix::new(weight, width, outputs);
        gemm(MatrixMut::new(&mut p, outputs, rows), false, weight.t(), hidden.t())?;
        let (mut y, mut log_det) = (x.to_vec(), vec![T::default(); rows]);
        let op = MapRows {
            plan: self,
            direction,
            moved: &moved,
            p: &p,
            bias,
            y: &mut y,
            log_det: &mut log_det,
        };
        dispatch(op);
        Ok(Evaluated { y, log_det, saved: Saved { moved, net, p } })
    }

    /// Gradients with respect to `x`, context and parameters, given those of `y` and log-det.
    fn backward<T: Element>(
        &self,
        direction: Direction,
        theta: &[T],
        context: &[T],
        saved: &Saved<T>,
        g_y: &[T],
        g_log_det: &[T],
    ) -> Result<[Vec<T>; 3]> {
        let (rows, width, outputs) = (g_log_det.len(), self.net.config.hidden, self.outputs());
        let (keep, c, d) = (self.keep.len(), self.net.context, self.dim);
        let (mut g_x, mut g_p) = (g_y.to_vec(), vec![T::default(); outputs * rows]);
        let op = PullRows {
            plan: self,
            direction,
            saved,
            bias: self.last(theta).1,
            g_log_det: Some(g_log_det),
            g_x: &mut g_x,
            g_p: &mut g_p,
        };
        dispatch(op);
        let mut g_theta = vec![T::default(); theta.len()];
        let first = theta.len() - outputs * (width + 1);
        let (g_weight, g_bias) = g_theta[first..].split_at_mut(width * outputs);
        let hidden = Matrix::new(&saved.net.hidden, rows, width);
        let g_rows = Matrix::new(&g_p, outputs, rows).t();
        gemm(MatrixMut::new(g_weight, width, outputs), false, hidden.t(), g_rows)?;
        g_bias.iter_mut().zip(g_p.chunks_exact(rows.max(1))).for_each(|(g, row)| *g = sum(row));
        let mut g_hidden = vec![T::default(); rows * width];
        let weight = Matrix::new(&theta[first..], width, outputs);
        gemm(MatrixMut::new(&mut g_hidden, rows, width), false, g_rows, weight.t())?;
        let net = &self.net;
        let g = residual::backward(net, theta, &saved.net, context, rows, g_hidden, &mut g_theta)?;
        let mut g_context = g.gates;
        if keep + c > 0 {
            for (b, row) in g.input.chunks_exact(keep + c).enumerate() {
                self.keep.iter().zip(row).for_each(|(&k, g)| g_x[b * d + k] += *g);
                let of_context = &mut g_context[b * c..(b + 1) * c];
                of_context.iter_mut().zip(&row[keep..]).for_each(|(a, g)| *a += *g);
            }
        }
        Ok([g_x, g_context, g_theta])
    }

    /// Values, log-dets and `k` pushed rows per point, `[B, K, D]`; the context is constant.
    fn push<T: Element>(
        &self,
        direction: Direction,
        theta: &[T],
        x: &[T],
        tangents: &[T],
        context: &[T],
        rows: usize,
    ) -> Result<(Evaluated<T>, Vec<T>)> {
        let (d, width, outputs) = (self.dim, self.net.config.hidden, self.outputs());
        let k = if rows == 0 { 0 } else { tangents.len() / (rows * d) };
        let evaluated = self.evaluate(direction, theta, x, context, rows)?;
        if k == 0 {
            return Ok((evaluated, vec![]));
        }
        let saved = &evaluated.saved;
        // dy/dx replaces the moved entries of a matrix of ones; dy/dp comes as [T P, B].
        let (mut dy_dx, mut dy_dp) =
            (vec![T::from_f64(1.); rows * d], vec![T::default(); outputs * rows]);
        let (weight, bias) = self.last(theta);
        let op = PullRows {
            plan: self,
            direction,
            saved,
            bias,
            g_log_det: None,
            g_x: &mut dy_dx,
            g_p: &mut dy_dp,
        };
        dispatch(op);
        let mut of_keep = Vec::with_capacity(rows * k * self.keep.len());
        for t in tangents.chunks_exact(d) {
            of_keep.extend(self.keep.iter().map(|&i| t[i]));
        }
        let hidden = residual::push(&self.net, theta, &saved.net, &of_keep, rows, k)?;
        let mut pushed = tangents.to_vec();
        // Contract dy/dp with the last map first: A[b, h] = sum_p dy/dp[b, p] W[h, p].
        let per = self.map.parameters();
        let mut a = vec![T::default(); rows * width];
        for (t, &i) in self.moved.iter().enumerate() {
            let of_t = Matrix::new(&dy_dp[t * per * rows..], per, rows);
            let w = Matrix::with_stride(&weight[t * per..], width, per, outputs);
            gemm(MatrixMut::new(&mut a, rows, width), false, of_t.t(), w.t())?;
            for (n, (row, h)) in
                pushed.chunks_exact_mut(d).zip(hidden.chunks_exact(width)).enumerate()
            {
                let b = n / k;
                row[i] = row[i] * dy_dx[b * d + i] + dot(h, &a[b * width..(b + 1) * width]);
            }
        }
        Ok((evaluated, pushed))
    }
}

/// Apply the map to the moved features.
struct MapRows<'a, U, T> {
    plan: &'a Plan<U>,
    direction: Direction,
    moved: &'a [T],
    p: &'a [T],
    bias: &'a [T],
    y: &'a mut [T],
    log_det: &'a mut [T],
}

/// Load the `P` parameters of one feature for the rows `r` of `[T P, B]`.
#[inline(always)]
fn load_parameters<T: Element, S: Simd>(
    simd: S,
    p: &[T],
    bias: &[T],
    rows: usize,
    r: &std::ops::Range<usize>,
    out: &mut [T::Lanes<S>],
) {
    for (k, out) in out.iter_mut().enumerate() {
        let v = T::load(simd, &p[k * rows + r.start..k * rows + r.end]);
        *out = v + T::splat(simd, bias[k]);
    }
}

impl<U: ScalarMap, T: Element> WithSimd for MapRows<'_, U, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { plan, direction, moved, p, bias, y, log_det } = self;
        let (rows, per, zero) =
            (log_det.len(), plan.map.parameters(), T::splat(simd, T::default()));
        let (mut ps, mut scratch) = (vec![zero; per], vec![zero; plan.map.scratch()]);
        let mut lanes = [T::default(); 16];
        for (t, &feature) in plan.moved.iter().enumerate() {
            let (x, p, bias) = (&moved[t * rows..], &p[t * per * rows..], &bias[t * per..]);
            for r in registers::<T, S>(rows) {
                load_parameters(simd, p, bias, rows, &r, &mut ps);
                let xs = T::load(simd, &x[r.clone()]);
                let point = plan.map.value(direction, xs, &ps, &mut scratch);
                T::store(simd, point.y, &mut lanes);
                for (v, b) in lanes.iter().zip(r.clone()) {
                    y[b * plan.dim + feature] = *v;
                }
                let total = T::load(simd, &log_det[r.clone()]) + point.log_slope;
                T::store(simd, total, &mut log_det[r]);
            }
        }
    }
}

/// Pull cotangents of the moved features back to them (in place, in `g_x`) and to the parameters.
struct PullRows<'a, U, T> {
    plan: &'a Plan<U>,
    direction: Direction,
    saved: &'a Saved<T>,
    bias: &'a [T],
    /// Cotangent of the log-det, `[B]`; none is zero.
    g_log_det: Option<&'a [T]>,
    g_x: &'a mut [T],
    g_p: &'a mut [T],
}

impl<U: ScalarMap, T: Element> WithSimd for PullRows<'_, U, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { plan, direction, saved, bias, g_log_det, g_x, g_p } = self;
        let (d, per, zero) = (plan.dim, plan.map.parameters(), T::splat(simd, T::default()));
        let rows = g_x.len() / d;
        let (mut ps, mut gs) = (vec![zero; per], vec![zero; per]);
        let mut scratch = vec![zero; plan.map.scratch()];
        let mut lanes = [T::default(); 16];
        for (t, &feature) in plan.moved.iter().enumerate() {
            let x = &saved.moved[t * rows..];
            let (p, bias) = (&saved.p[t * per * rows..], &bias[t * per..]);
            let g_p = &mut g_p[t * per * rows..];
            for r in registers::<T, S>(rows) {
                load_parameters(simd, p, bias, rows, &r, &mut ps);
                for (lane, b) in lanes.iter_mut().zip(r.clone()) {
                    *lane = g_x[b * d + feature];
                }
                let cotangent = Point {
                    y: T::load(simd, &lanes),
                    log_slope: g_log_det.map_or(zero, |g| T::load(simd, &g[r.clone()])),
                };
                let xs = T::load(simd, &x[r.clone()]);
                let g = plan.map.pullback(direction, xs, &ps, cotangent, &mut gs, &mut scratch);
                T::store(simd, g, &mut lanes);
                for (lane, b) in lanes.iter().zip(r.clone()) {
                    g_x[b * d + feature] = *lane;
                }
                for (k, g) in gs.iter().enumerate() {
                    T::store(simd, *g, &mut g_p[k * rows + r.start..k * rows + r.end]);
                }
            }
        }
    }
}

/// `(x [B, D], context [B, C] or an empty tensor, theta) -> [B D + B]`: values, then log-dets, so
/// that both are contiguous views.
pub(crate) struct CouplingOp<U, T> {
    plan: Arc<Plan<U>>,
    direction: Direction,
    /// Keep activations; false when nothing is tracked.
    save: bool,
    saved: Mutex<Option<Saved<T>>>,
}

impl<U, T> CouplingOp<U, T> {
    pub(crate) fn new(plan: Arc<Plan<U>>, direction: Direction, save: bool) -> Self {
        Self { plan, direction, save, saved: Mutex::new(None) }
    }
}

impl<U: ScalarMap, T: Element> CustomOp3 for CouplingOp<U, T> {
    fn name(&self) -> &'static str {
        "coupling"
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
        let (x, context, theta) = (slice::<T>(s1, l1)?, slice::<T>(s2, l2)?, slice::<T>(s3, l3)?);
        let Evaluated { mut y, log_det, saved } =
            self.plan.evaluate(self.direction, theta, x, context, rows)?;
        if self.save {
            *self.saved.lock().unwrap_or_else(PoisonError::into_inner) = Some(saved);
        }
        y.extend(log_det);
        let len = y.len();
        Ok((T::to_cpu_storage_owned(y), len.into()))
    }
    fn bwd(
        &self,
        x: &Tensor,
        context: &Tensor,
        theta: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (rows, device) = (x.dim(0)?, x.device());
        let taken = self.saved.lock().unwrap_or_else(PoisonError::into_inner).take();
        let gradients = with_slice::<T, _>(theta, |t| {
            with_slice::<T, _>(context, |c| {
                with_slice::<T, _>(g, |g| {
                    let saved = match taken {
                        Some(saved) => saved,
                        // A second backward through the same graph: evaluate again.
                        None => {
                            with_slice::<T, _>(x, |x| {
                                self.plan.evaluate(self.direction, t, x, c, rows)
                            })??
                            .saved
                        }
                    };
                    let (g_y, g_log_det) = g.split_at(g.len() - rows);
                    self.plan.backward(self.direction, t, c, &saved, g_y, g_log_det)
                })
            })
        });
        let [g_x, g_context, g_theta] = gradients????;
        let tensor = |g: Vec<T>, like: &Tensor| Tensor::from_vec(g, like.shape(), device);
        let wanted =
            |g: Vec<T>, like: &Tensor| like.track_op().then(|| tensor(g, like)).transpose();
        let g_context = if self.plan.net.context > 0 { wanted(g_context, context)? } else { None };
        Ok((Some(tensor(g_x, x)?), g_context, wanted(g_theta, theta)?))
    }
}

/// [`Plan::push`] on tensors; no graph is recorded.
pub(crate) fn push<U: ScalarMap, T: Element>(
    plan: &Plan<U>,
    direction: Direction,
    theta: &Tensor,
    x: &Tensor,
    tangents: &Tensor,
    context: &Tensor,
) -> Result<Pushed> {
    let (rows, device) = (x.dim(0)?, x.device());
    let pushed = with_slice::<T, _>(theta, |theta| {
        with_slice::<T, _>(x, |x| {
            with_slice::<T, _>(tangents, |tangents| {
                with_slice::<T, _>(context, |context| {
                    plan.push(direction, theta, x, tangents, context, rows)
                })
            })
        })
    });
    let (evaluated, rows_out) = pushed?????;
    Ok(Pushed {
        value: Tensor::from_vec(evaluated.y, x.shape(), device)?,
        tangents: Tensor::from_vec(rows_out, tangents.shape(), device)?,
        log_abs_det: Tensor::from_vec(evaluated.log_det, rows, device)?,
    })
}
