//! A whole coupling layer as one operation: conditioner network, element-wise map, log-det.
//!
//! An autoregressive layer is the coupling that keeps and moves every feature, with a masked network.
use super::Pushed;
use super::elements::{Features, MapRows, PullRows};
use super::gemm::{Matrix, MatrixMut, gemm};
use super::lanes::{Element, dispatch};
use super::net::{self, Activations};
use super::rows::{dot, sum};
use super::tensor::{slice, with_slice};
use crate::bijector::Direction;
use crate::nn::Net;
use crate::univariate::ScalarMap;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use std::sync::{Arc, Mutex, PoisonError};

/// What a coupling layer is: which features it keeps and moves, by which network and map.
#[derive(Clone, Debug)]
pub(crate) struct Plan<U> {
    pub(crate) dim: usize,
    pub(crate) keep: Vec<usize>,
    pub(crate) moved: Vec<usize>,
    pub(crate) net: Net,
    pub(crate) map: U,
}

/// One evaluation, with what the backward pass needs.
pub(super) struct Evaluated<T> {
    y: Vec<T>,
    log_det: Vec<T>,
    pub(super) saved: Saved<T>,
}

pub(super) struct Saved<T> {
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
    fn features(&self) -> Features<'_> {
        Features { dim: self.dim, moved: &self.moved }
    }

    /// Number of outputs of the network, `T P`.
    fn outputs(&self) -> usize {
        self.moved.len() * self.map.parameters()
    }

    /// The last affine map's `(weight, bias)`.
    pub(super) fn last<'a, T>(&self, theta: &'a [T]) -> (&'a [T], &'a [T]) {
        let n = self.outputs();
        let (rest, bias) = theta.split_at(theta.len() - n);
        (&rest[rest.len() - n * self.net.config.hidden..], bias)
    }

    pub(super) fn evaluate<T: Element>(
        &self,
        direction: Direction,
        theta: &[T],
        x: &[T],
        context: &[T],
        rows: usize,
    ) -> Result<Evaluated<T>> {
        let (width, outputs) = (self.net.config.hidden, self.outputs());
        let (input, moved) = gather(self, x, context, rows);
        let activations = net::forward(&self.net, theta, input, context, rows)?;
        let (weight, bias) = self.last(theta);
        let mut p = vec![T::default(); outputs * rows];
        let hidden = Matrix::new(&activations.hidden, rows, width);
        let weight = Matrix::new(weight, width, outputs);
        gemm(MatrixMut::new(&mut p, outputs, rows), false, weight.t(), hidden.t())?;
        let (mut y, mut log_det) = (x.to_vec(), vec![T::default(); rows]);
        let op = MapRows {
            map: self.map,
            features: self.features(),
            direction,
            moved: &moved,
            p: &p,
            bias,
            y: &mut y,
            log_det: &mut log_det,
        };
        dispatch(op);
        Ok(Evaluated { y, log_det, saved: Saved { moved, net: activations, p } })
    }

    /// Gradients with respect to `x`, context and parameters, given those of `y` and log-det.
    pub(super) fn backward<T: Element>(
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
            map: self.map,
            features: self.features(),
            direction,
            moved: &saved.moved,
            p: &saved.p,
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
        let g = net::backward(&self.net, theta, &saved.net, context, rows, g_hidden, &mut g_theta)?;
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

    /// `dy/dx` of the moved features and 1 for the others, `[B, D]`; `dy/dp`, `[T P, B]`.
    pub(super) fn slopes<T: Element>(
        &self,
        direction: Direction,
        theta: &[T],
        saved: &Saved<T>,
        rows: usize,
    ) -> (Vec<T>, Vec<T>) {
        let (mut dy_dx, mut dy_dp) =
            (vec![T::from_f64(1.); rows * self.dim], vec![T::default(); self.outputs() * rows]);
        dispatch(PullRows {
            map: self.map,
            features: self.features(),
            direction,
            moved: &saved.moved,
            p: &saved.p,
            bias: self.last(theta).1,
            g_log_det: None,
            g_x: &mut dy_dx,
            g_p: &mut dy_dp,
        });
        (dy_dx, dy_dp)
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
        let (dy_dx, dy_dp) = self.slopes(direction, theta, saved, rows);
        let weight = self.last(theta).0;
        let mut of_keep = Vec::with_capacity(rows * k * self.keep.len());
        for t in tangents.chunks_exact(d) {
            of_keep.extend(self.keep.iter().map(|&i| t[i]));
        }
        let hidden = net::push(&self.net, theta, &saved.net, &of_keep, rows, k)?;
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
