//! A whole coupling layer as one operation: conditioner network, element-wise map, log-det, tangents.
//!
//! An autoregressive layer is the coupling that keeps and moves every feature, with a masked network. A coupling of images
//! is one of their pixels, with a network that sees their neighbours.
use super::buffer::Buffer;
#[cfg(feature = "cuda")]
use super::cuda::coupling::CudaCoupling;
use super::elements::{Features, MapRows, PullRows, PullTangents};
use super::gemm::{Matrix, MatrixMut, gemm};
use super::gradients;
use super::lanes::{Element, dispatch};
use super::net::{self, Activations};
use super::pixels::Pixels;
use super::rows::{Rows, contract, dot, spread, sum};
#[cfg(feature = "cuda")]
use super::tensor::split;
use super::tensor::{slice, with_slice};
use crate::bijector::Direction;
use crate::nn::{Grid, Net};
use crate::univariate::ScalarMap;
#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
#[cfg(feature = "cuda")]
use candle_core::cuda_backend::cudarc::driver::CudaSlice;
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

/// What a coupling layer is: which features it keeps and moves, by which network and map. Of images the features are
/// channels.
#[derive(Clone, Debug)]
pub(crate) struct Plan<U> {
    pub(crate) dim: usize,
    pub(crate) keep: Vec<usize>,
    pub(crate) moved: Vec<usize>,
    pub(crate) net: Net,
    pub(crate) map: U,
}

/// One evaluation, with what the backward pass needs.
pub(super) struct Evaluated<T: Element> {
    pub(super) y: Vec<T>,
    /// `[B, K, D]`.
    pub(super) tangents: Vec<T>,
    pub(super) log_det: Vec<T>,
    pub(super) saved: Saved<T>,
}

pub(super) struct Saved<T: Element> {
    /// Moved features, `[T, B]`.
    moved: Buffer<T>,
    net: Activations<T>,
    /// Parameters of the map before their bias, `[T P, B]`.
    p: Buffer<T>,
    /// Empty without tangents.
    slopes: Slopes<T>,
}

/// First derivatives of the moved features.
struct Slopes<T: Element> {
    /// `dy/dx`, 1 for the other features, `[B, D]`.
    dx: Buffer<T>,
    /// `dy/dp`, `[T P, B]`.
    dp: Buffer<T>,
    /// `dy/dh = Σ_p dy/dp W_p` by the last hidden layer, `[T, B, hidden]`: tangents are contracted
    /// with it, at a cost of `P + K` instead of `P K` per hidden unit.
    dh: Buffer<T>,
}

/// Points and the tangents of each, as a layer takes them.
#[derive(Clone, Copy)]
pub(super) struct Input<'a, T> {
    /// `[B, D]`.
    pub(super) x: &'a [T],
    /// `[B, K, D]`.
    pub(super) tangents: &'a [T],
    /// `[B, C]`; its tangents are zero.
    pub(super) context: &'a [T],
    pub(super) rows: Rows,
}

impl<'a, T> Input<'a, T> {
    /// Points without tangents.
    pub(super) fn points(x: &'a [T], context: &'a [T], points: usize) -> Self {
        Self { x, tangents: &[], context, rows: Rows { points, tangents: 0 } }
    }
}

/// Cotangents of what a layer gives, shaped like it.
#[derive(Clone, Copy)]
pub(super) struct Cotangents<'a, T> {
    pub(super) y: &'a [T],
    pub(super) tangents: &'a [T],
    pub(super) log_det: &'a [T],
}

/// Gradients of a layer with respect to its arguments, shaped like them.
pub(super) struct Gradients<T> {
    pub(super) x: Vec<T>,
    pub(super) tangents: Vec<T>,
    pub(super) context: Vec<T>,
    pub(super) theta: Vec<T>,
}

impl<U: ScalarMap> Plan<U> {
    fn features(&self) -> Features<'_> {
        Features { dim: self.dim, moved: &self.moved }
    }

    /// Pixels of a point, 1 of vectors.
    fn pixels(&self) -> usize {
        self.net.grid.map_or(1, Grid::pixels)
    }

    /// Numbers that are held for a point: itself, what comes of it, and hidden layers or parameters of the map, of which
    /// tangents need only the former.
    pub(crate) fn working_size(&self) -> usize {
        /// Hidden layers of a block that are held at the same time.
        const LAYERS: usize = 5;
        self.pixels() * (2 * self.dim + (LAYERS * self.net.config.hidden).max(self.outputs()))
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

    /// The kept features and the context as the input of the network.
    fn kept<T: Element>(&self, input: Input<'_, T>) -> Buffer<T> {
        let (d, c, Rows { points, .. }) = (self.dim, self.net.context, input.rows);
        let width = self.keep.len() + c;
        let mut kept = Buffer::zeros(input.rows.len() * width);
        if width == 0 {
            return kept;
        }
        let rows = input.x.chunks_exact(d).chain(input.tangents.chunks_exact(d));
        for (kept, row) in kept.chunks_exact_mut(width).zip(rows) {
            kept.iter_mut().zip(&self.keep).for_each(|(v, &k)| *v = row[k]);
        }
        for (b, kept) in kept.chunks_exact_mut(width).take(points).enumerate() {
            kept[width - c..].copy_from_slice(&input.context[b * c..(b + 1) * c]);
        }
        kept
    }

    /// Values, log-dets and tangents; without `save`, what it returns serves no backward pass.
    pub(super) fn evaluate<T: Element>(
        &self,
        direction: Direction,
        theta: &[T],
        input: Input<'_, T>,
        save: bool,
    ) -> Result<Evaluated<T>> {
        let Input { x, tangents, context, rows } = input;
        let (width, outputs, b) = (self.net.config.hidden, self.outputs(), rows.points);
        let moved = self.moved.iter().flat_map(|&k| (0..b).map(move |b| x[b * self.dim + k]));
        let moved = Buffer::collect(b * self.moved.len(), moved);
        let net = net::forward(&self.net, theta, self.kept(input), context, rows, save)?;
        let (weight, bias) = self.last(theta);
        let mut p = Buffer::stale(outputs * b);
        let hidden = Matrix::new(&net.hidden, b, width);
        let weight = Matrix::new(weight, width, outputs);
        gemm(MatrixMut::new(&mut p, outputs, b), false, weight.t(), hidden.t())?;
        let (mut y, mut log_det) = (x.to_vec(), vec![T::default(); b]);
        dispatch(MapRows {
            map: self.map,
            features: self.features(),
            direction,
            moved: &moved,
            p: &p,
            bias,
            y: &mut y,
            log_det: &mut log_det,
        });
        let slopes = Slopes { dx: Buffer::empty(), dp: Buffer::empty(), dh: Buffer::empty() };
        let (mut saved, mut pushed) = (Saved { moved, net, p, slopes }, tangents.to_vec());
        if rows.tangents > 0 {
            saved.slopes = self.slopes(direction, theta, &saved, b)?;
            self.push(&saved, rows, &mut pushed);
        }
        Ok(Evaluated { y, tangents: pushed, log_det, saved })
    }

    /// `dy/dx`, `[B, D]`, and `dy/dp`, `[T P, B]`, where a layer was evaluated; see [`Slopes`].
    pub(super) fn derivatives<T: Element>(
        &self,
        direction: Direction,
        theta: &[T],
        saved: &Saved<T>,
        points: usize,
    ) -> [Buffer<T>; 2] {
        let mut dx = Buffer::stale(points * self.dim);
        let mut dp = Buffer::stale(self.outputs() * points);
        dx.fill(T::from_f64(1.));
        dispatch(PullRows {
            map: self.map,
            features: self.features(),
            direction,
            moved: &saved.moved,
            p: &saved.p,
            bias: self.last(theta).1,
            g_log_det: None,
            g_x: &mut dx,
            g_p: &mut dp,
        });
        [dx, dp]
    }

    /// All that tangents need.
    fn slopes<T: Element>(
        &self,
        direction: Direction,
        theta: &[T],
        saved: &Saved<T>,
        points: usize,
    ) -> Result<Slopes<T>> {
        let (width, outputs, per) = (self.net.config.hidden, self.outputs(), self.map.parameters());
        let weight = self.last(theta).0;
        let [dx, dp] = self.derivatives(direction, theta, saved, points);
        let mut dh = Buffer::stale(self.moved.len() * points * width);
        for t in 0..self.moved.len() {
            let dp = Matrix::new(&dp[t * per * points..], per, points);
            let w = Matrix::with_stride(&weight[t * per..], width, per, outputs);
            let dh = &mut dh[t * points * width..];
            gemm(MatrixMut::new(dh, points, width), false, dp.t(), w.t())?;
        }
        Ok(Slopes { dx, dp, dh })
    }

    /// `ẏ = dy/dx ẋ + dy/dh ḣ`, in place in `tangents: [B, K, D]`.
    fn push<T: Element>(&self, saved: &Saved<T>, rows: Rows, tangents: &mut [T]) {
        let (d, width, Rows { points, tangents: k }) = (self.dim, self.net.config.hidden, rows);
        let Slopes { dx, dh, .. } = &saved.slopes;
        let hidden = &saved.net.hidden[points * width..];
        for (n, (row, hidden)) in
            tangents.chunks_exact_mut(d).zip(hidden.chunks_exact(width)).enumerate()
        {
            let b = n / k;
            for (t, &i) in self.moved.iter().enumerate() {
                let dh = &dh[(t * points + b) * width..][..width];
                row[i] = row[i] * dx[b * d + i] + dot(hidden, dh);
            }
        }
    }

    /// Gradients with respect to all arguments, given those of the results.
    pub(super) fn backward<T: Element>(
        &self,
        direction: Direction,
        theta: &[T],
        input: Input<'_, T>,
        saved: &Saved<T>,
        g: Cotangents<'_, T>,
    ) -> Result<Gradients<T>> {
        let (d, width, outputs, rows) =
            (self.dim, self.net.config.hidden, self.outputs(), input.rows);
        let (keep, c, b) = (self.keep.len(), self.net.context, rows.points);
        let (mut g_x, mut g_p) = (g.y.to_vec(), Buffer::stale(outputs * b));
        let mut g_tangents = g.tangents.to_vec();
        let mut g_hidden = Buffer::stale(rows.len() * width);
        let mut g_theta = vec![T::default(); theta.len()];
        let (weight, bias) = self.last(theta);
        let (map, features, moved, p) = (self.map, self.features(), &saved.moved, &saved.p);
        let first = theta.len() - outputs * (width + 1);
        let (g_weight, g_bias) = g_theta[first..].split_at_mut(width * outputs);
        let (g_values, g_rows) = g_hidden.split_at_mut(b * width);
        if rows.tangents == 0 {
            let g_log_det = Some(g.log_det);
            let (g_x, g_p) = (&mut g_x, &mut g_p);
            dispatch(PullRows { map, features, direction, moved, p, bias, g_log_det, g_x, g_p });
        } else {
            g_rows.fill(T::default());
            let [v_moved, v_p] =
                self.push_back(weight, input, saved, &mut g_tangents, g_rows, g_weight)?;
            dispatch(PullTangents {
                map,
                features,
                direction,
                moved,
                p,
                bias,
                v_moved: &v_moved,
                v_p: &v_p,
                g_log_det: g.log_det,
                g_x: &mut g_x,
                g_p: &mut g_p,
            });
        }
        let hidden = Matrix::new(&saved.net.hidden, b, width);
        let of_p = Matrix::new(&g_p, outputs, b).t();
        let add = rows.tangents > 0;
        gemm(MatrixMut::new(g_weight, width, outputs), add, hidden.t(), of_p)?;
        g_bias.iter_mut().zip(g_p.chunks_exact(b.max(1))).for_each(|(g, row)| *g = sum(row));
        let weight = Matrix::new(weight, width, outputs);
        gemm(MatrixMut::new(g_values, b, width), false, of_p, weight.t())?;
        let of_net = net::backward(
            &self.net,
            theta,
            &saved.net,
            input.context,
            rows,
            g_hidden,
            &mut g_theta,
        )?;
        let mut g_context = of_net.gates;
        if keep + c > 0 {
            let g_rows = g_x.chunks_exact_mut(d).chain(g_tangents.chunks_exact_mut(d));
            for (g, of_input) in g_rows.zip(of_net.input.chunks_exact(keep + c)) {
                self.keep.iter().zip(of_input).for_each(|(&k, v)| g[k] += *v);
            }
            for (b, of_input) in of_net.input.chunks_exact(keep + c).take(b).enumerate() {
                let of_context = &mut g_context[b * c..(b + 1) * c];
                of_context.iter_mut().zip(&of_input[keep..]).for_each(|(a, g)| *a += *g);
            }
        }
        Ok(Gradients { x: g_x, tangents: g_tangents, context: g_context, theta: g_theta })
    }

    /// The transpose of [`Plan::push`]: turns the cotangents of `ẏ` into those of `ẋ`, adds those of
    /// `ḣ` to `g_hidden` and gives `g_weight` what comes through `ẏ = Σ_p dy/dp (ḣ W_p)`. Returns
    /// `v = Σ_k ȳ̇ (ẋ, ṗ)` for [`PullTangents`].
    fn push_back<T: Element>(
        &self,
        weight: &[T],
        input: Input<'_, T>,
        saved: &Saved<T>,
        g_tangents: &mut [T],
        g_hidden: &mut [T],
        g_weight: &mut [T],
    ) -> Result<[Buffer<T>; 2]> {
        let (d, width, outputs, per) =
            (self.dim, self.net.config.hidden, self.outputs(), self.map.parameters());
        let (rows, b) = (input.rows, input.rows.points);
        let Slopes { dx, dp, dh } = &saved.slopes;
        let hidden = &saved.net.hidden[b * width..];
        let mut v_moved = Buffer::zeros(self.moved.len() * b);
        let mut v_p = Buffer::stale(outputs * b);
        for (t, &i) in self.moved.iter().enumerate() {
            let g = |row: usize| g_tangents[row * d + i];
            spread(rows, g_hidden, g, &dh[t * b * width..(t + 1) * b * width], width);
            let v_hidden = contract(rows, hidden, g, width);
            let v_hidden = Matrix::new(&v_hidden, b, width);
            let w = Matrix::with_stride(&weight[t * per..], width, per, outputs);
            let of_t = t * per * b..(t + 1) * per * b;
            let v_p = &mut v_p[of_t.clone()];
            gemm(MatrixMut::new(v_p, per, b), false, w.t(), v_hidden.t())?;
            let dp = Matrix::new(&dp[of_t], per, b);
            let g_w = MatrixMut::with_stride(&mut g_weight[t * per..], width, per, outputs);
            gemm(g_w, false, v_hidden.t(), dp.t())?;
            for (row, x) in input.tangents.chunks_exact(d).enumerate() {
                v_moved[t * b + row / rows.tangents] += g_tangents[row * d + i] * x[i];
            }
        }
        for (row, g) in g_tangents.chunks_exact_mut(d).enumerate() {
            let dx = &dx[row / rows.tangents * d..];
            self.moved.iter().for_each(|&i| g[i] *= dx[i]);
        }
        Ok([v_moved, v_p])
    }
}

/// `(points, context [B, C] or an empty tensor, theta)`, all that is given to a layer: `points` and the result are
/// packed ([`super::PackedLayer`]), so that each part is a contiguous view.
pub(crate) struct CouplingOp<U, T: Element> {
    plan: Arc<Plan<U>>,
    direction: Direction,
    rows: Rows,
    /// Keep activations; false when nothing is tracked.
    save: bool,
    saved: Mutex<Option<Saved<T>>>,
    #[cfg(feature = "cuda")]
    on_cuda: CudaState<T>,
}

/// What the operation has beside the plan on a CUDA device.
#[cfg(feature = "cuda")]
struct CudaState<T> {
    /// Numbers of the kept and of the moved features.
    features: [Tensor; 2],
    saved: Mutex<Option<CudaSlice<T>>>,
}

impl<U: ScalarMap, T: Element> CouplingOp<U, T> {
    /// `features`: the numbers of the kept and of the moved ones, where the points are.
    pub(crate) fn new(
        plan: Arc<Plan<U>>,
        direction: Direction,
        rows: Rows,
        save: bool,
        #[cfg_attr(not(feature = "cuda"), expect(unused_variables, reason = "of CUDA only"))]
        features: [&Tensor; 2],
    ) -> Self {
        Self {
            plan,
            direction,
            rows,
            save,
            saved: Mutex::new(None),
            #[cfg(feature = "cuda")]
            on_cuda: CudaState { features: features.map(Clone::clone), saved: Mutex::new(None) },
        }
    }

    fn pixels(&self) -> Pixels {
        Pixels { count: self.plan.pixels(), rows: self.rows }
    }

    /// The arguments of a layer.
    fn given<'a>(&self, points: &'a [T], context: &'a [T]) -> Given<'a, T> {
        let (pixels, size) = (self.pixels(), self.plan.pixels() * self.plan.dim);
        let (points, before) = points.split_at(self.rows.len() * size);
        let (x, tangents) = points.split_at(self.rows.points * size);
        let (tangents, context) = (pixels.by_pixel(tangents.into()), pixels.repeat(context));
        Given { x, tangents, context, rows: pixels.rows(), before }
    }

    /// Gradients of the three arguments.
    fn pull(&self, points: &[T], context: &[T], theta: &[T], g: &[T]) -> Result<[Vec<T>; 3]> {
        let (given, pixels) = (self.given(points, context), self.pixels());
        let taken = self.saved.lock().unwrap_or_else(PoisonError::into_inner).take();
        let saved = match taken {
            Some(saved) => saved,
            // A second backward through the same graph: evaluate again.
            None => self.plan.evaluate(self.direction, theta, given.input(), true)?.saved,
        };
        let (g, of_log_det) = g.split_at(points.len() - given.before.len());
        let (y, tangents) = g.split_at(given.x.len());
        let (tangents, log_det) = (pixels.by_pixel(tangents.into()), pixels.repeat(of_log_det));
        let g = Cotangents { y, tangents: &tangents, log_det: &log_det };
        let mut of = self.plan.backward(self.direction, theta, given.input(), &saved, g)?;
        of.x.extend(pixels.by_image(of.tangents));
        of.x.extend_from_slice(&of_log_det[..given.before.len()]);
        Ok([of.x, pixels.sum(of.context), of.theta])
    }
}

/// The arguments of a layer, and the log-dets of those before it; none of the first.
struct Given<'a, T: Element> {
    x: &'a [T],
    tangents: Cow<'a, [T]>,
    context: Cow<'a, [T]>,
    rows: Rows,
    before: &'a [T],
}

impl<T: Element> Given<'_, T> {
    fn input(&self) -> Input<'_, T> {
        let Self { x, tangents, context, rows, .. } = self;
        Input { x, tangents, context, rows: *rows }
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
        let (points, context, theta) =
            (slice::<T>(s1, l1)?, slice::<T>(s2, l2)?, slice::<T>(s3, l3)?);
        let (given, pixels) = (self.given(points, context), self.pixels());
        let Evaluated { mut y, tangents, log_det, saved } =
            self.plan.evaluate(self.direction, theta, given.input(), self.save)?;
        let mut log_det = pixels.sum(log_det);
        log_det.iter_mut().zip(given.before).for_each(|(own, before)| *own += *before);
        if self.save {
            *self.saved.lock().unwrap_or_else(PoisonError::into_inner) = Some(saved);
        }
        y.extend(pixels.by_image(tangents));
        y.extend(log_det);
        let len = y.len();
        Ok((T::to_cpu_storage_owned(y), len.into()))
    }
    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s1: &CudaStorage,
        l1: &Layout,
        s2: &CudaStorage,
        l2: &Layout,
        s3: &CudaStorage,
        l3: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let layer = self.cuda();
        let (out, saved) = layer.forward::<T>((s1, l1), (s2, l2), (s3, l3), self.save)?;
        if self.save {
            *self.on_cuda.saved.lock().unwrap_or_else(PoisonError::into_inner) = Some(saved);
        }
        Ok((out, layer.results().into()))
    }
    fn bwd(
        &self,
        points: &Tensor,
        context: &Tensor,
        theta: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        #[cfg(feature = "cuda")]
        if points.device().is_cuda() {
            return self.pull_on_cuda(points, context, theta, g);
        }
        let gradients = with_slice::<T, _>(points, |points| {
            with_slice::<T, _>(context, |context| {
                with_slice::<T, _>(theta, |theta| {
                    with_slice::<T, _>(g, |g| self.pull(points, context, theta, g))
                })
            })
        });
        let [g_points, g_context, g_theta] = gradients?????;
        let tensor = |g: Vec<T>, like: &Tensor| Tensor::from_vec(g, like.shape(), like.device());
        let wanted =
            |g: Vec<T>, like: &Tensor| like.track_op().then(|| tensor(g, like)).transpose();
        let g_context = if self.plan.net.context > 0 { wanted(g_context, context)? } else { None };
        Ok((Some(tensor(g_points, points)?), g_context, gradients::of_parameter(theta, g_theta)?))
    }
}

#[cfg(feature = "cuda")]
impl<U: ScalarMap, T: Element> CouplingOp<U, T> {
    fn cuda(&self) -> CudaCoupling<'_, U> {
        let [keep, moved] = &self.on_cuda.features;
        CudaCoupling { plan: &self.plan, direction: self.direction, rows: self.rows, keep, moved }
    }

    /// Gradients of the three arguments.
    fn pull_on_cuda(
        &self,
        points: &Tensor,
        context: &Tensor,
        theta: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let pull = CudaPull { of: self, g: g.contiguous()? };
        let packed = points.contiguous()?.apply_op3_no_bwd(context, theta, &pull)?;
        let (n, c) = (points.elem_count(), self.rows.points * self.plan.net.context);
        let parts = split(&packed, &[n, c, theta.elem_count()])?;
        let wanted = |part: &Tensor, like: &Tensor| {
            like.track_op().then(|| part.reshape(like.shape())).transpose()
        };
        let g_context = if c > 0 { wanted(&parts[1], context)? } else { None };
        let g_theta = gradients::of_parameter_there(theta, parts[2].reshape(theta.shape())?)?;
        Ok((Some(parts[0].reshape(points.shape())?), g_context, g_theta))
    }
}

/// The pullback on a CUDA device, with the cotangents of the results.
#[cfg(feature = "cuda")]
struct CudaPull<'a, U, T: Element> {
    of: &'a CouplingOp<U, T>,
    g: Tensor,
}

#[cfg(feature = "cuda")]
impl<U: ScalarMap, T: Element> CustomOp3 for CudaPull<'_, U, T> {
    fn name(&self) -> &'static str {
        "coupling-pull"
    }
    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
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
        s3: &CudaStorage,
        l3: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let (layer, inputs) = (self.of.cuda(), [(s1, l1), (s2, l2), (s3, l3)]);
        let [points, context, theta] = inputs;
        let saved = self.of.on_cuda.saved.lock().unwrap_or_else(PoisonError::into_inner).take();
        let saved = match saved {
            Some(saved) => saved,
            // A second backward through the same graph: evaluate again.
            None => layer.forward::<T>(points, context, theta, true)?.1,
        };
        let out = layer.pull::<T>(points, context, theta, &saved, &self.g)?;
        let of_context = self.of.rows.points * self.of.plan.net.context;
        let len = l1.shape().elem_count() + of_context + l3.shape().elem_count();
        Ok((out, len.into()))
    }
}
