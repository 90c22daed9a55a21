//! Element-wise splines that start from the quantiles of the first batch.
use super::{flag, is_initialized, set_initialized};
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::count::check_features;
use crate::elementwise::elements;
use crate::params::Params;
use crate::route::Route;
use crate::univariate::{RationalQuadratic, ScalarMap, Univariate};
use crate::{Diff, Result, host};
use candle_core::cpu::erf::erf_f64;
use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};

/// Config of [`Gaussianize`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GaussianizeConfig {
    /// Number of features.
    pub dim: usize,
    /// Bins of the splines.
    #[serde(default = "default_bins")]
    pub bins: usize,
    /// Half the width of the box of the splines, in standard deviations of what comes out.
    #[serde(default = "default_bound")]
    pub tail_bound: f64,
    /// Kernels or tensor operations; the numbers agree to rounding.
    #[serde(default)]
    pub route: Route,
}

/// Fewer are a coarse picture of sharp ends, more follow the noise of ten thousand rows.
fn default_bins() -> usize {
    20
}
/// One normal number in 16,000 lies beyond it.
fn default_bound() -> f64 {
    4.
}

impl GaussianizeConfig {
    /// A map of `dim` features with 20 bins on `[-4, 4]`, the identity until it has seen data.
    pub fn new(dim: usize) -> Self {
        let (bins, tail_bound) = (default_bins(), default_bound());
        Self { dim, bins, tail_bound, route: Route::Auto }
    }
    /// With the other route.
    #[must_use]
    pub fn with_route(self, route: Route) -> Self {
        Self { route, ..self }
    }

    /// Create the layer: saved states `scale`, `shift`, those of the splines `knots`, and a flag `initialized`.
    ///
    /// # Errors
    /// If a field is out of range or a state does not fit.
    pub fn build(&self, params: &mut Params<'_>) -> Result<Gaussianize> {
        let d = self.dim;
        check_features("gaussianize.dim", d)?;
        let map = RationalQuadratic::new(self.bins, self.tail_bound, 1.)?;
        let (dtype, device) = (params.dtype(), params.device().clone());
        let zeros = Tensor::zeros(d, dtype, &device)?;
        let scale = params.state("scale", &zeros.ones_like()?)?;
        let shift = params.state("shift", &zeros)?;
        let (identity, per) = (map.identity().repeat(d), map.parameters());
        let identity = Tensor::from_vec(identity, (1, d, per), &Device::Cpu)?;
        let knots = params.state("knots", &identity.to_dtype(dtype)?.to_device(&device)?)?;
        let initialized = flag(params)?;
        let signature = Signature::vector(d, dtype, &device);
        Ok(Gaussianize { map, scale, shift, knots, initialized, route: self.route, signature })
    }
}

/// `y = g((x - t)/s)` for each feature, `g` a rational-quadratic spline; `log|det J| = Σ ln g' - ln s`.
///
/// **Shapes**: `[B, D]` to `[B, D]`. The first batch that [`crate::Bijector::observe`] shows to `forward` sets it so
/// that each feature that comes out is nearly normal: `g` takes quantiles of the batch to those of the normal
/// distribution. So a flow behind it has sharp ends and several modes of single features from the start, and only has to
/// learn how features depend on each other. `inverse` sees nothing to learn from. The saved flag keeps a reloaded layer
/// from doing so again. Nothing of it is trained: where a distribution ends, slopes are steep, and gradients of the
/// few rows there would drown those of all others.
///
/// **Reference**: marginal Gaussianization, Chen & Gopinath (2000), *Gaussianization*; as layers of a flow, Meng,
/// Song, Song & Ermon (2020), *Gaussianization flows*, arXiv 2003.01941. The spline is that of Durkan et al. (2019),
/// arXiv 1906.04032, eq. 4.
#[derive(Debug)]
pub struct Gaussianize {
    map: RationalQuadratic,
    scale: Var,
    shift: Var,
    /// Parameters of the splines, `[1, D, P]`.
    knots: Var,
    initialized: Var,
    route: Route,
    signature: Signature,
}

impl Gaussianize {
    /// Whether the layer has seen data.
    ///
    /// # Errors
    /// If the flag cannot be read from its device.
    pub fn is_initialized(&self) -> Result<bool> {
        is_initialized(&self.initialized)
    }

    /// Take the quantiles of the columns of `x: [B, D]` to normal ones.
    #[expect(
        clippy::indexing_slicing,
        reason = "a column has two rows or more, and one of them is no outlier"
    )]
    fn start_from(&self, x: &Tensor) -> Result<()> {
        let (rows, width) = x.dims2()?;
        let values = host::values_f64(&x.t()?)?;
        let columns = values.chunks_exact(rows).take(width).map(<[f64]>::to_vec);
        let (mut scales, mut shifts, mut knots) = (vec![], vec![], vec![]);
        for mut column in columns {
            column.sort_by(f64::total_cmp);
            let inside = without_outliers(&column);
            let (low, high) = (inside[0], inside[inside.len() - 1]);
            let (scale, shift) = ((high - low) / (2. * self.map.bound), f64::midpoint(low, high));
            // A constant feature has neither scale nor quantiles, but for rounding.
            let varies = scale > ROUNDING * shift.abs().max(1.);
            let scale = if varies { scale } else { 1. };
            scales.push(scale);
            shifts.push(shift);
            knots.extend(match varies {
                true => spline_of(&self.map, |share| (quantile(inside, share) - shift) / scale),
                false => self.map.identity(),
            });
        }
        for (state, values) in [(&self.scale, scales), (&self.shift, shifts), (&self.knots, knots)]
        {
            let values = Tensor::from_vec(values, state.dims(), &Device::Cpu)?;
            state.set(&values.to_dtype(state.dtype())?.to_device(state.device())?)?;
        }
        set_initialized(&self.initialized)
    }
}

/// What rounding may leave of a constant feature in single precision, relative to it.
const ROUNDING: f64 = 1e-6;

/// The values of a sorted column but for those far away, which are left to the tails: a single one would squeeze all
/// others into a few bins.
#[expect(
    clippy::indexing_slicing,
    reason = "positions are those of values, from the first to the last"
)]
fn without_outliers(sorted: &[f64]) -> &[f64] {
    /// In interquartile ranges from the median.
    const FAR: f64 = 20.;
    let [first, median, third] = [0.25, 0.5, 0.75].map(|share| quantile(sorted, share));
    let range = third - first;
    // Where half of the values are one, their range says nothing.
    if range.is_nan() || range <= 0. {
        return sorted;
    }
    let near = |v: &f64| (v - median).abs() <= FAR * range;
    let from = sorted.iter().position(near).unwrap_or(0);
    let to = sorted.iter().rposition(near).map_or(sorted.len(), |at| at + 1);
    &sorted[from..to]
}

/// The quantile of sorted values, between two of them on the line.
#[expect(clippy::indexing_slicing, reason = "places lie between the first value and the last")]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len() - 1;
    let place = share * last as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=last")]
    let below = (place.floor() as usize).min(last);
    let above = (below + 1).min(last);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

/// Parameters of the spline that takes quantiles to those of the normal distribution on the box. Its knots are evenly
/// spaced on the side of the latter.
fn spline_of(map: &RationalQuadratic, quantile: impl Fn(f64) -> f64) -> Vec<f64> {
    let (bins, bound) = (map.bins, map.bound);
    let below = |z: f64| 0.5 * (1. + erf_f64(z / std::f64::consts::SQRT_2));
    let (least, all) = (below(-bound), below(bound) - below(-bound));
    let at = |z: f64| quantile(f64::clamp((below(z) - least) / all, 0., 1.));
    let height = 2. * bound / bins as f64;
    let knot = |k: usize| -bound + height * k as f64;
    let widths: Vec<f64> =
        (0..bins).map(|k| (at(knot(k + 1)) - at(knot(k))) / (2. * bound)).collect();
    let slopes: Vec<f64> = (1..bins)
        .map(|k| height / (at(knot(k) + 0.5 * height) - at(knot(k) - 0.5 * height)))
        .collect();
    map.of_knots(&widths, &vec![1. / bins as f64; bins], &slopes)
}

impl Layer for Gaussianize {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let rows = x.value().dim(0)?;
        let [scale, shift, knots] =
            [&self.scale, &self.shift, &self.knots].map(Var::as_detached_tensor);
        let shift = T::constant(&shift);
        let knots = T::constant(&knots.broadcast_as((rows, knots.dim(1)?, knots.dim(2)?))?);
        let log_scale = T::constant(&scale.log()?.sum_all()?.broadcast_as(rows)?);
        let spline = |t: &T| elements(&self.map, self.route, direction, t, &knots);
        match direction {
            Direction::Forward => {
                let unit = x.sub(&shift)?.linear(|t| t.broadcast_div(&scale))?;
                let Mapped { value, log_abs_det } = spline(&unit)?;
                Ok(Mapped { value, log_abs_det: log_abs_det.sub(&log_scale)? })
            }
            Direction::Inverse => {
                let Mapped { value, log_abs_det } = spline(x)?;
                let value = value.linear(|t| t.broadcast_mul(&scale))?.add(&shift)?;
                Ok(Mapped { value, log_abs_det: log_abs_det.add(&log_scale)? })
            }
        }
    }
    /// Only `forward` sees what is to be normal. One row has no quantiles, and rows that are not finite say nothing.
    fn observe(
        &self,
        direction: Direction,
        x: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Mapped<Tensor>> {
        let is_finite = || -> Result<bool> { Ok(host::scalar(&(x * 0.)?.sum_all()?)? == 0.) };
        if direction == Direction::Forward
            && x.dim(0)? > 1
            && !is_initialized(&self.initialized)?
            && is_finite()?
        {
            self.start_from(x)?;
        }
        self.apply(direction, x, context)
    }
}
