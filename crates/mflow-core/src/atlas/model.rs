//! [`Atlas`]: a manifold of several charts, and the mixture of their densities.
use super::frame::one_hot;
use crate::model::{Density, Model, ModelSignature, Part, Projected, check_columns, check_finite};
use crate::{Error, Result};
use candle_core::{D, DType, Tensor};
use mflow_bijectors::{Bijector, Diff, FeatureAffine, LayerNoise, Noise, Stream, host};
use std::sync::Arc;

/// Shares of a chart in a point below this part of the largest share count as none: a chart need not bend to
/// points far away.
const LEAST_SHARE: f64 = 0.01;

/// `K` M-flows `x = f_k(u, 0)`, `u = h_k(ũ)`, or free-form flows `x = decoder_k(u)`, each with its weight. Their
/// manifolds overlap; where they do, the density of data is the sum over the charts on which a point lies:
///
/// ```text
/// log p(x) = log Σ_k 1[|x - project_k(x)| <= tolerance] w_k p_k(x),      Σ_k w_k = 1
/// ```
///
/// at the projection of `x` to the nearest chart, with the density `p_k` of an M-flow (Brehmer & Cranmer 2020,
/// eq. 7). It is that of the samples, and exact as far as the charts agree where they overlap. Latents and
/// coordinates have the number of the chart as their last column.
///
/// While training, the chart of each row is drawn anew by shares that fall off with the distance from the
/// middles of the charts, `r_k ∝ exp(-|x - c_k|²/σ²)`: the loss of reconstruction is then
/// `Σ_k r_k |x - project_k(x)|²`, and that of coordinates minus the bound
/// `Σ_k r_k log(w_k p_k) <= log Σ_k w_k p_k + Σ_k r_k log r_k`, which is tight at `w_k p_k = r_k p`.
///
/// Kalatzis et al. (2021), *Density estimation on smooth manifolds with normalizing flows*, arXiv 2106.03500,
/// have mixtures of charts with a learned choice; here it follows from the places of the charts.
#[derive(Clone, Debug)]
pub(super) struct Atlas {
    pub(super) signature: ModelSignature,
    /// The model of a chart, with the number of the chart, one-hot, as its context.
    pub(super) inner: Arc<dyn Model>,
    /// Logits of the weights, `[K]`.
    pub(super) logits: Tensor,
    /// From normalised to original data.
    pub(super) normalization: Arc<FeatureAffine>,
    pub(super) places: Places,
    /// How far apart charts may be where they overlap, in units of the normalised data.
    pub(super) tolerance: f64,
    /// Draws of charts while training.
    pub(super) draws: Option<LayerNoise>,
}

/// The middles of the charts and the width of their shares, in units of the normalised data.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) centers: Vec<Vec<f64>>,
    pub(super) width: f64,
}

impl Places {
    /// The shares of the charts at a point.
    fn shares(&self, point: &[f64]) -> Vec<f64> {
        let square = |center: &Vec<f64>| -> f64 {
            center.iter().zip(point).map(|(c, x)| (x - c) * (x - c)).sum()
        };
        let squares: Vec<f64> = self.centers.iter().map(square).collect();
        let least = squares.iter().copied().fold(f64::INFINITY, f64::min);
        let share = |square: &f64| match (-(square - least) / self.width.powi(2)).exp() {
            share if share < LEAST_SHARE => 0.,
            share => share,
        };
        let shares: Vec<f64> = squares.iter().map(share).collect();
        let sum: f64 = shares.iter().sum();
        shares.into_iter().map(|share| share / sum).collect()
    }
}

impl Atlas {
    fn charts(&self) -> usize {
        self.signature.charts
    }

    /// The context that names these charts, `[B, K]`, for `chart: [B]`.
    fn named(&self, chart: &Tensor) -> Result<Tensor> {
        one_hot(chart, self.charts(), self.signature.dtype)
    }

    /// The context of `rows` rows of one chart.
    fn one(&self, chart: usize, rows: usize) -> Result<Tensor> {
        let column = |k: usize| if k == chart { 1_f64 } else { 0. };
        let row: Vec<f64> = (0..self.charts()).map(column).collect();
        let row = Tensor::from_vec(row, (1, self.charts()), &candle_core::Device::Cpu)?;
        let row = row.to_dtype(self.signature.dtype)?.to_device(&self.signature.device)?;
        Ok(row.broadcast_as((rows, self.charts()))?.contiguous()?)
    }

    /// The log-weights, `[K, 1]`.
    fn log_weights(&self) -> Result<Tensor> {
        let weights = Diff::softmax(&self.logits.unsqueeze(0)?)?;
        Ok(weights.log()?.t()?)
    }

    /// Squared distances between points, in units of the normalised data, `[B]`, detached.
    fn squares(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        let normalized = |x: &Tensor| -> Result<Tensor> {
            Ok(self.normalization.inverse(&x.detach(), None)?.value)
        };
        Ok((normalized(a)? - normalized(b)?)?.sqr()?.sum(D::Minus1)?)
    }

    /// The chart of each row, `[B]` (`u32`): the nearest, or while training drawn by shares.
    fn assign(&self, x: &Tensor) -> Result<Tensor> {
        let rows = x.dim(0)?;
        if rows == 0 {
            return Ok(host::zeros(0, DType::U32, x.device())?);
        }
        if let Some(draws) = &self.draws {
            let points = self.normalization.inverse(&x.detach(), None)?.value;
            let points = host::values_f64(&points)?;
            let uniform = draws.uniform(rows);
            let drawn = points.chunks_exact(self.signature.data_dim).zip(uniform);
            let drawn = drawn.map(|(point, left)| pick(&self.places.shares(point), left));
            return Ok(Tensor::from_iter(drawn, &candle_core::Device::Cpu)?.to_device(x.device())?);
        }
        let x = x.detach();
        let distance = |k: usize| -> Result<Tensor> {
            let square = self.squares(&x, &self.inner.project(&x, Some(&self.one(k, rows)?))?)?;
            // A chart whose map overflows so far from its place is not near; argmin would take a NaN.
            let far = (square.ones_like()? * f64::from(f32::MAX))?;
            Ok(square.le(&far)?.where_cond(&square, &far)?)
        };
        let distances: Result<Vec<Tensor>> = (0..self.charts()).map(distance).collect();
        Ok(Tensor::stack(&distances?, 1)?.argmin(D::Minus1)?)
    }

    /// Latents or coordinates without their last column, and the context that it names.
    fn split(&self, op: &'static str, u: &Tensor) -> Result<(Tensor, Tensor)> {
        let n = self.signature.manifold_dim;
        let (rows, columns) = u.dims2()?;
        if rows == 0 {
            let none = |columns| host::zeros((0, columns), u.dtype(), u.device());
            return Ok((none(n)?, none(self.charts())?));
        }
        let numbers = host::values_f64(&u.narrow(1, columns - 1, 1)?)?;
        let charts = self.charts();
        let chart = |(row, &found): (usize, &f64)| {
            (0..charts)
                .find(|&k| k as f64 == found)
                .and_then(|k| u32::try_from(k).ok())
                .ok_or(Error::NoChart { op, row, charts, found })
        };
        let chart: Result<Vec<u32>> = numbers.iter().enumerate().map(chart).collect();
        let chart = Tensor::from_vec(chart?, rows, &candle_core::Device::Cpu)?;
        let named = self.named(&chart.to_device(u.device())?)?;
        Ok((u.narrow(1, 0, n)?.contiguous()?, named))
    }

    /// The same with its checks: of shape `[B, N + 1]`, finite.
    fn split_latent(&self, op: &'static str, latent: &Tensor) -> Result<(Tensor, Tensor)> {
        check_columns(op, "latent", latent, self.signature.latent_dim())?;
        check_finite(op, "latent", latent)?;
        self.split(op, latent)
    }

    /// `u` with the number of the chart as its last column.
    fn join(&self, u: &Tensor, chart: &Tensor) -> Result<Tensor> {
        if u.dim(0)? == 0 {
            return Ok(host::zeros((0, self.signature.latent_dim()), u.dtype(), u.device())?);
        }
        Ok(Tensor::cat(&[u, &chart.to_dtype(u.dtype())?.unsqueeze(D::Minus1)?], 1)?)
    }

    /// Log-weights of the charts that a context names, `[B]`.
    fn log_weights_of(&self, named: &Tensor) -> Result<Tensor> {
        if named.dim(0)? == 0 {
            return Ok(host::zeros(0, named.dtype(), named.device())?);
        }
        Ok(named.matmul(&self.log_weights()?)?.squeeze(1)?)
    }

    /// The mixture at points of the manifold, `[B]`; each row counts on its own chart in any case. NaN where
    /// a projection is not finite, as of any model.
    fn mixture(&self, on_manifold: &Tensor, own: &Tensor) -> Result<Tensor> {
        let rows = on_manifold.dim(0)?;
        if rows == 0 {
            return Ok(host::zeros(0, on_manifold.dtype(), on_manifold.device())?);
        }
        let lost = (on_manifold.detach() * 0.)?.sum(D::Minus1)?;
        let found = lost.eq(0.)?;
        let places = found.unsqueeze(1)?.broadcast_as(on_manifold.shape())?;
        let on_manifold = &places.where_cond(on_manifold, &on_manifold.zeros_like()?)?;
        let log_weights = self.log_weights()?;
        let mut terms = Vec::with_capacity(self.charts());
        for k in 0..self.charts() {
            let chart = self.one(k, rows)?;
            let Projected { projection, log_prob } =
                self.inner.project_with_log_prob(on_manifold, Some(&chart))?;
            let near = self.squares(on_manifold, &projection)?.le(self.tolerance.powi(2))?;
            let counts = near.maximum(&own.narrow(1, k, 1)?.squeeze(1)?.to_dtype(DType::U8)?)?;
            let term = log_prob.broadcast_add(&log_weights.narrow(0, k, 1)?.squeeze(1)?)?;
            // So little that its exponential is 0, yet finite.
            let none = (term.ones_like()? * -1e30)?;
            terms.push(counts.where_cond(&term, &none)?);
        }
        let terms = Tensor::stack(&terms, 1)?;
        let largest = terms.max_keepdim(1)?.detach();
        let sum = terms.broadcast_sub(&largest)?.exp()?.sum(1)?;
        Ok(((sum.log()? + largest.squeeze(1)?)? + lost)?)
    }

    fn check_context(&self, op: &'static str, context: Option<&Tensor>) -> Result<()> {
        match context {
            None => Ok(()),
            Some(context) => Err(Error::Shape {
                op,
                arg: "context",
                expected: "none: the model is unconditional".into(),
                found: context.dims().to_vec(),
            }),
        }
    }

    /// The projection with its chart, `[B, K]`.
    fn projected(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let named = self.named(&self.assign(x)?)?;
        Ok((self.inner.project(x, Some(&named))?, named))
    }

    /// Check data, and find the chart of each row.
    fn chart_of(
        &self,
        op: &'static str,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        self.check_data(op, x, context)?;
        let chart = self.assign(x)?;
        let named = self.named(&chart)?;
        Ok((chart, named))
    }

    fn check_data(&self, op: &'static str, x: &Tensor, context: Option<&Tensor>) -> Result<()> {
        self.check_context(op, context)?;
        check_columns(op, "x", x, self.signature.data_dim)?;
        check_finite(op, "x", x)
    }
}

/// The number that `left` in `[0, 1)` falls on.
fn pick(shares: &[f64], mut left: f64) -> u32 {
    let found = shares.iter().position(|share| {
        left -= share;
        left < 0.
    });
    // Rounding may leave a little over: the last that has a share.
    let last = || shares.iter().rposition(|share| *share > 0.);
    u32::try_from(found.or_else(last).unwrap_or(0)).unwrap_or(0)
}

impl Model for Atlas {
    fn signature(&self) -> &ModelSignature {
        &self.signature
    }

    fn log_density(&self, kind: Density, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check_data("log_prob", x, context)?;
        if kind != Density::Manifold {
            let reason = "it is a density on the manifold only; ask for the manifold density";
            return self.lacks("log_density", reason);
        }
        let (projection, named) = self.projected(x)?;
        self.mixture(&projection, &named)
    }
    fn project(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check_data("project", x, context)?;
        Ok(self.projected(x)?.0)
    }
    fn project_with_log_prob(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Projected> {
        self.check_data("project_with_log_prob", x, context)?;
        let (projection, named) = self.projected(x)?;
        let log_prob = self.mixture(&projection, &named)?;
        Ok(Projected { projection, log_prob })
    }
    fn encode(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let (chart, named) = self.chart_of("encode", x, context)?;
        self.join(&self.inner.encode(x, Some(&named))?, &chart)
    }
    fn decode(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check_context("decode", context)?;
        let (latent, named) = self.split_latent("decode", latent)?;
        self.inner.decode(&latent, Some(&named))
    }
    fn decode_jacobian(&self, latent: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check_context("decode_jacobian", context)?;
        let (latent, named) = self.split_latent("decode_jacobian", latent)?;
        self.inner.decode_jacobian(&latent, Some(&named))
    }

    fn coordinates(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let (chart, named) = self.chart_of("coordinates", x, context)?;
        self.join(&self.inner.coordinates(x, Some(&named))?, &chart)
    }
    fn latents(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let (_, named) = self.chart_of("latents", x, context)?;
        self.inner.latents(x, Some(&named))
    }
    fn coordinate_log_prob(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.check_context("coordinate_log_prob", context)?;
        check_columns("coordinate_log_prob", "u", u, self.signature.latent_dim())?;
        let (u, named) = self.split("coordinate_log_prob", u)?;
        let log_prob = self.inner.coordinate_log_prob(&u, Some(&named))?;
        Ok((log_prob + self.log_weights_of(&named)?)?)
    }

    fn latent_log_prob(&self, latent: &Tensor) -> Result<Tensor> {
        let (latent, named) = self.split_latent("latent_log_prob", latent)?;
        Ok((self.inner.latent_log_prob(&latent)? + self.log_weights_of(&named)?)?)
    }
    fn sample_latent(&self, rows: usize, stream: &mut Stream) -> Result<Tensor> {
        let weights = host::values_f64(&self.log_weights()?.exp()?)?;
        let drawn = stream.uniform(rows, 0., 1.).into_iter().map(|left| pick(&weights, left));
        let chart = Tensor::from_iter(drawn, &candle_core::Device::Cpu)?;
        let latent = self.inner.sample_latent(rows, stream)?;
        self.join(&latent, &host::place(&chart, DType::U32, &self.signature.device)?)
    }

    fn inverts(&self) -> bool {
        self.inner.inverts()
    }

    fn observe(&self, x: &Tensor, context: Option<&Tensor>, part: Part) -> Result<()> {
        let (_, named) = self.chart_of("observe", x, context)?;
        self.inner.observe(x, Some(&named), part)
    }
    fn training(&self, noise: &Noise) -> Result<Option<Box<dyn Model>>> {
        let draws = Some(noise.layer());
        let inner = match self.inner.training(noise)? {
            Some(inner) => Arc::from(inner),
            None => self.inner.clone(),
        };
        Ok(Some(Box::new(Self { inner, draws, ..self.clone() })))
    }
    fn drawing(&self, noise: &Noise) -> Result<Option<Box<dyn Model>>> {
        Ok(Some(Box::new(Self { draws: Some(noise.layer()), ..self.clone() })))
    }
}
