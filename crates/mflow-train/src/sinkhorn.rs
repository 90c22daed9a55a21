//! The Sinkhorn divergence between two sets of points.
#![expect(
    clippy::indexing_slicing,
    reason = "lanes of a fixed number, blocks of rows within the matrix, and a ladder that has its first rung"
)]
use crate::points::{Cloud, Points};
use crate::shards::Pool;
use crate::{Error, Result};
use candle_core::{D, DType, Device, Tensor};
use mflow_bijectors::host;
use pulp::{Arch, Simd, WithSimd};
use serde::{Deserialize, Serialize};

/// The debiased entropic transport cost between two sets of `B` and `B'` points, whose masses are equal or in proportion to
/// weights ([`Points`]):
///
/// ```text
/// S = OT_ε(x, y) - ½ OT_ε(x, x) - ½ OT_ε(y, y),     cost ½ |x - y|²,     ε = blur²
/// ```
///
/// Feydy, Séjourné, Vialard, Amari, Trouvé & Peyré (2019), *Interpolating between optimal transport and
/// MMD using Sinkhorn divergences*, arXiv 1810.08278, eq. 3. The potentials are found in the log domain by
/// averaged updates, while `ε` falls from the square of the diameter of all points to `blur²`, by the
/// factor `scaling²` each time (Feydy 2020, thesis, section 3.3); one more update, not averaged, is the one
/// that the gradient goes through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SinkhornConfig {
    /// Distance below which points are not told apart.
    pub blur: f64,
    /// Factor between successive distances, in (0, 1): the nearer to 1, the more exact.
    pub scaling: f64,
}

impl Default for SinkhornConfig {
    /// The published values for M-flows: 0.05 and 0.7.
    fn default() -> Self {
        Self { blur: 0.05, scaling: 0.7 }
    }
}

impl SinkhornConfig {
    /// This blur and scaling.
    pub fn new(blur: f64, scaling: f64) -> Self {
        Self { blur, scaling }
    }

    pub(crate) fn validate(&self, path: &str) -> Result<()> {
        let Self { blur, scaling } = *self;
        if !(blur > 0. && blur.is_finite()) {
            let reason = format!("must be positive and finite, found {blur}");
            return Err(Error::config(format!("{path}.blur"), reason));
        }
        if !(scaling > 0. && scaling < 1.) {
            let reason = format!("must be between 0 and 1, found {scaling}");
            return Err(Error::config(format!("{path}.scaling"), reason));
        }
        Ok(())
    }

    /// The values of `ε`, from the square of the diameter down to `blur²`.
    fn ladder(&self, diameter: f64) -> Vec<f64> {
        let (first, last, step) = (diameter.ln(), self.blur.ln(), self.scaling.ln());
        let mut ladder = vec![diameter * diameter];
        let mut i = 0.;
        // In logarithms of squares; the first one comes twice.
        while first + i * step > last {
            ladder.push((2. * (first + i * step)).exp());
            i += 1.;
        }
        ladder.push(self.blur * self.blur);
        ladder
    }
}

/// A divergence between two sets of points, with its gradient.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// `S`, in squared units of the points.
    pub value: f64,
    /// `dS/dx`, `[B, D]`, detached.
    pub gradient: Tensor,
}

/// The divergence of `x: [B, D]` from `y: [B', D]`, on their device; rows of the largest matrices are
/// spread over `pool`, with the same result for any number of threads. Integer weights do what repeated points do, and a
/// point without weight is as good as not there.
///
/// # Errors
/// If a set is empty, a value not finite, or the two differ in their number of features or dtype; if a weight is negative
/// or not finite, all of a set are 0, or they are not as many as the points.
pub fn sinkhorn<'a>(
    config: &SinkhornConfig,
    x: impl Into<Points<'a>>,
    y: impl Into<Points<'a>>,
    pool: &Pool,
) -> Result<Divergence> {
    config.validate("sinkhorn")?;
    let (x, y) = (x.into(), y.into());
    check(x.x, y.x)?;
    let (x, y) = (Cloud::new(x)?, Cloud::new(y)?);
    // Differences are all that counts; near the origin their squares lose the least.
    let centre = y.points.mean_keepdim(0)?;
    let (x, y) = (x.around(&centre)?, y.around(&centre)?);
    let costs = |a: &Cloud, b: &Cloud| Costs::new(&a.points, &b.points);
    let (xy, xx, yy) = (costs(&x, &y)?, costs(&x, &x)?, costs(&y, &y)?);
    let yx = xy.transposed()?;
    let ladder = config.ladder(diameter(&x.points, &y.points)?);

    // Potentials of x against y (f), of y against x (g), of x and of y against themselves.
    let first = ladder[0];
    let mut f = xy.soft_min(first, &y.at_rest()?, pool)?;
    let mut g = yx.soft_min(first, &x.at_rest()?, pool)?;
    let mut of_x = xx.soft_min(first, &x.at_rest()?, pool)?;
    let mut of_y = yy.soft_min(first, &y.at_rest()?, pool)?;
    let mean = |a: &Tensor, b: &Tensor| -> Result<Tensor> { Ok(((a + b)? * 0.5)?) };
    for &epsilon in &ladder {
        let next_f = xy.soft_min(epsilon, &y.dual(&g, epsilon)?, pool)?;
        let next_g = yx.soft_min(epsilon, &x.dual(&f, epsilon)?, pool)?;
        let next_x = xx.soft_min(epsilon, &x.dual(&of_x, epsilon)?, pool)?;
        let next_y = yy.soft_min(epsilon, &y.dual(&of_y, epsilon)?, pool)?;
        (f, g) = (mean(&f, &next_f)?, mean(&g, &next_g)?);
        (of_x, of_y) = (mean(&of_x, &next_x)?, mean(&of_y, &next_y)?);
    }
    let epsilon = config.blur * config.blur;
    let (dual_f, dual_g) = (y.dual(&g, epsilon)?, x.dual(&f, epsilon)?);
    let (dual_x, dual_y) = (x.dual(&of_x, epsilon)?, y.dual(&of_y, epsilon)?);
    let f = xy.soft_min(epsilon, &dual_f, pool)?;
    let g = yx.soft_min(epsilon, &dual_g, pool)?;
    let last_x = xx.soft_min(epsilon, &dual_x, pool)?;
    let last_y = yy.soft_min(epsilon, &dual_y, pool)?;

    // S = mean (f - f_xx) + mean (g - f_yy).
    let value = x.mean((&f - &last_x)?)? + y.mean((g - last_y)?)?;
    // Of f by x at fixed dual: x less the mean of y under the plan of its row; so too of f_xx.
    let to_y = xy.plan_mean(epsilon, &dual_f, &y.points)?;
    let to_x = xx.plan_mean(epsilon, &dual_x, &x.points)?;
    let gradient = (x.weigh_rows((to_x - to_y)?)? / x.points.dim(0)? as f64)?;
    Ok(Divergence { value, gradient })
}

fn check(x: &Tensor, y: &Tensor) -> Result<()> {
    let error = |what, expected: String, found: String| Err(Error::Data { what, expected, found });
    let shape = |t: &Tensor| format!("{:?}", t.dims());
    for t in [x, y] {
        if t.rank() != 2 || t.elem_count() == 0 {
            return error("points of a divergence", "some rows [B, D]".to_owned(), shape(t));
        }
    }
    if x.dim(1)? != y.dim(1)? {
        let expected = format!("{} features in both sets", x.dim(1)?);
        return error("points of a divergence", expected, y.dim(1)?.to_string());
    }
    if x.dtype() != y.dtype() {
        let expected = format!("{:?} in both sets", x.dtype());
        return error("points of a divergence", expected, format!("{:?}", y.dtype()));
    }
    for t in [x, y] {
        let total = host::scalar(&(t * 0.)?.sum_all()?)?;
        if total != 0. {
            let expected = "finite numbers".to_owned();
            return error("points of a divergence", expected, "one that is not".to_owned());
        }
    }
    Ok(())
}

/// The diagonal of the box around all points.
fn diameter(x: &Tensor, y: &Tensor) -> Result<f64> {
    let low = x.min(0)?.minimum(&y.min(0)?)?;
    let high = x.max(0)?.maximum(&y.max(0)?)?;
    let square = host::scalar(&(high - low)?.sqr()?.sum_all()?)?;
    // Of one point, any positive number.
    Ok(if square > 0. { square.sqrt() } else { 1. })
}

/// The costs `½ |x_i - y_j|²` of two sets, `[B, B']`.
struct Costs(Tensor);

/// Rows of costs that one task takes.
const ROWS: usize = 64;

impl Costs {
    fn new(x: &Tensor, y: &Tensor) -> Result<Self> {
        let half = |t: &Tensor| -> Result<Tensor> { Ok((t.sqr()?.sum(D::Minus1)? * 0.5)?) };
        let products = x.matmul(&y.t()?.contiguous()?)?;
        let squares = half(x)?.unsqueeze(1)?.broadcast_add(&half(y)?.unsqueeze(0)?)?;
        // Rounding must not make a cost negative.
        Ok(Self((squares - products)?.relu()?))
    }
    fn transposed(&self) -> Result<Self> {
        Ok(Self(self.0.t()?.contiguous()?))
    }

    /// `-ε log Σ_j exp(dual_j - cost_ij/ε) / B'`, `[B]`: with `dual = g/ε` the update of `f`.
    fn soft_min(&self, epsilon: f64, dual: &Tensor, pool: &Pool) -> Result<Tensor> {
        match (self.0.device(), self.0.dtype()) {
            (Device::Cpu, DType::F32) => self.soft_min_cpu::<f32>(epsilon, dual, pool),
            (Device::Cpu, DType::F64) => self.soft_min_cpu::<f64>(epsilon, dual, pool),
            _ => self.soft_min_composed(epsilon, dual),
        }
    }

    /// The logits `dual_j - cost_ij/ε`.
    fn logits(&self, epsilon: f64, dual: &Tensor) -> Result<Tensor> {
        Ok((&self.0 * (-1. / epsilon))?.broadcast_add(&dual.unsqueeze(0)?)?)
    }

    /// The composition of tensor operations that [`Costs::soft_min_cpu`] fuses.
    fn soft_min_composed(&self, epsilon: f64, dual: &Tensor) -> Result<Tensor> {
        let columns = self.0.dim(1)? as f64;
        let total = self.logits(epsilon, dual)?.log_sum_exp(1)?;
        Ok(((total - columns.ln())? * -epsilon)?)
    }

    /// One pass over the costs for the maximum and one for the sum, without a matrix of logits.
    fn soft_min_cpu<T: Number>(&self, epsilon: f64, dual: &Tensor, pool: &Pool) -> Result<Tensor> {
        let (rows, columns) = self.0.dims2()?;
        let dual: Vec<T> = host::values(dual)?;
        let storage = self.0.storage_and_layout();
        let candle_core::Storage::Cpu(cpu) = &*storage.0 else {
            return self.soft_min_composed(epsilon, &Tensor::new(dual, self.0.device())?);
        };
        let costs = T::cpu_storage_as_slice(cpu)?;
        let blocks = rows.div_ceil(ROWS);
        let parts = pool.map(blocks, |block| {
            let mut minima = vec![T::from_f64(0.); ROWS.min(rows - block * ROWS)];
            let costs = &costs[block * ROWS * columns..];
            Arch::new().dispatch(SoftMin { costs, dual: &dual, epsilon, minima: &mut minima });
            minima
        });
        Ok(Tensor::from_vec(parts.concat(), rows, &Device::Cpu)?)
    }

    /// Means of `points` under the rows of the plan: `Σ_j p_ij points_j`, `p` the softmax of the logits.
    fn plan_mean(&self, epsilon: f64, dual: &Tensor, points: &Tensor) -> Result<Tensor> {
        let logits = self.logits(epsilon, dual)?;
        let weights = logits.broadcast_sub(&logits.max_keepdim(1)?)?.exp()?;
        Ok(weights.matmul(points)?.broadcast_div(&weights.sum_keepdim(1)?)?)
    }
}

/// The updates of some rows of costs. A struct and no closure: a closure is compiled apart from its caller, and
/// then without the vector instructions that the caller may use.
struct SoftMin<'a, T> {
    costs: &'a [T],
    dual: &'a [T],
    epsilon: f64,
    minima: &'a mut [T],
}

impl<T: Number> WithSimd for SoftMin<'_, T> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { costs, dual, epsilon, minima } = self;
        let scale = T::from_f64(-1. / epsilon);
        let log_columns = (dual.len() as f64).ln();
        for (minimum, row) in minima.iter_mut().zip(costs.chunks_exact(dual.len())) {
            let total = log_sum_exp(row, dual, scale);
            *minimum = T::from_f64(-epsilon * (total - log_columns));
        }
    }
}

/// A number of a tensor.
trait Number: candle_core::WithDType {
    /// `exp(self)` for numbers that are not positive, without a branch; below about -87 it is 0 or nearly.
    fn exp_of_negative(self) -> Self;
    /// `self * factor + term`, rounded once: slow, but the same, on machines without such an instruction.
    fn mul_add(self, factor: Self, term: Self) -> Self;
}

impl Number for f32 {
    /// `2^k 2^f` with `f` in `[-½, ½]`: the Taylor polynomial of degree 7, whose rest is below 2e-8.
    #[inline(always)]
    fn exp_of_negative(self) -> Self {
        use std::f32::consts::{LN_2, LOG2_E};
        let x = larger(self * LOG2_E, -126.);
        // Adding and subtracting 1.5 2^23 rounds to the nearest integer.
        const ROUND: f32 = 12_582_912.;
        let rounded = x + ROUND;
        let f = (x - (rounded - ROUND)) * LN_2;
        let p = f.mul_add(1. / 5040., 1. / 720.);
        let p = f.mul_add(p, 1. / 120.);
        let p = f.mul_add(p, 1. / 24.);
        let p = f.mul_add(p, 1. / 6.);
        let p = f.mul_add(p, 0.5);
        let p = f.mul_add(p, 1.);
        let p = f.mul_add(p, 1.);
        // The exponent's bits of 2^k: k + 127 is in 1..=127.
        let k = rounded.to_bits().wrapping_sub(ROUND.to_bits());
        p * Self::from_bits(k.wrapping_add(127) << 23)
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        self.mul_add(factor, term)
    }
}

impl Number for f64 {
    #[inline(always)]
    fn exp_of_negative(self) -> Self {
        self.exp()
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        self.mul_add(factor, term)
    }
}

/// The maximum by one comparison: the library's does more, for the sake of NaN, which points never are.
#[inline(always)]
fn larger<T: PartialOrd>(a: T, b: T) -> T {
    if a > b { a } else { b }
}

/// Lanes that maxima and sums are taken in, so that they vectorise.
const LANES: usize = 16;

/// `log Σ_j exp(dual_j + scale row_j)`; sums of a few terms in the dtype, of these in f64.
#[inline(always)]
fn log_sum_exp<T: Number>(row: &[T], dual: &[T], scale: T) -> f64 {
    /// Chunks whose terms are added up before they are widened.
    const AT_ONCE: usize = 16;
    let least = T::from_f64(f64::NEG_INFINITY);
    let mut lanes = [least; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    let (duals, rest_dual) = dual.as_chunks::<LANES>();
    for (c, d) in chunks.iter().zip(duals) {
        for i in 0..LANES {
            lanes[i] = larger(lanes[i], Number::mul_add(scale, c[i], d[i]));
        }
    }
    let after = || rest.iter().zip(rest_dual).map(|(c, d)| Number::mul_add(scale, *c, *d));
    let top = after().chain(lanes).fold(least, larger);
    let mut sum: f64 = after().map(|logit| (logit - top).exp_of_negative().to_f64()).sum();
    for (chunks, duals) in chunks.chunks(AT_ONCE).zip(duals.chunks(AT_ONCE)) {
        let mut lanes = [T::from_f64(0.); LANES];
        for (c, d) in chunks.iter().zip(duals) {
            for i in 0..LANES {
                lanes[i] += (Number::mul_add(scale, c[i], d[i]) - top).exp_of_negative();
            }
        }
        sum += lanes.iter().map(|v| v.to_f64()).sum::<f64>();
    }
    top.to_f64() + sum.ln()
}

#[cfg(test)]
mod tests {
    //! Oracle: the composition of tensor operations.
    use super::*;
    use mflow_bijectors::Stream;

    #[test]
    fn the_exponential_is_that_of_the_library() {
        for i in 0..=100_000_u32 {
            let x = -87_f32 * (i as f32) / 1e5;
            let (found, expected) = (x.exp_of_negative(), f64::from(x).exp());
            let error = (f64::from(found) / expected - 1.).abs();
            // The rounding of x log2(e), up to 126, is the most of it.
            assert!(
                error < 1e-5 && (x < -1. || error < 3e-7),
                "exp({x}) = {found}, error {error:e}"
            );
        }
        assert!((-1e30_f32).exp_of_negative() < 1e-37, "far below");
    }

    #[test]
    fn the_loop_is_the_composition() {
        let mut stream = Stream::new(1, "points");
        for (rows, columns, dtype) in
            [(3, 5, DType::F64), (130, 70, DType::F64), (65, 33, DType::F32)]
        {
            let mut points = |n| stream.normal_tensor(&[n, 3], dtype, &Device::Cpu).unwrap();
            let costs = Costs::new(&points(rows), &points(columns)).unwrap();
            let dual = points(columns).mean(1).unwrap();
            for epsilon in [10., 0.1, 1e-3] {
                let numbers = |t: Tensor| host::values_f64(&t).unwrap();
                let of = |threads| {
                    let pool = Pool::new(threads).unwrap();
                    numbers(costs.soft_min(epsilon, &dual, &pool).unwrap())
                };
                let expected = numbers(costs.soft_min_composed(epsilon, &dual).unwrap());
                let tolerance = if dtype == DType::F64 { 1e-12 } else { 1e-4 };
                for (a, b) in of(1).iter().zip(&expected) {
                    assert!((a - b).abs() < tolerance * (1. + b.abs()), "{a}, composed {b}");
                }
                assert_eq!(of(1), of(3), "any number of threads");
            }
        }
    }
}
