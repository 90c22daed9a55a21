//! The spline against a straightforward scalar implementation of Durkan et al. (2019).
use crate::cases::{DIRECTIONS, net};
use crate::numbers::{close, device, gap_of, normal, numbers, tensor};
use mflow_bijectors::candle::{DType, Tensor};
use mflow_bijectors::{
    Activation, Bijector, CouplingConfig, Direction, Mask, ParamStore, RationalQuadratic, Route,
    host,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One spline by its knots and derivatives; nothing is shared with the library.
pub(crate) struct Oracle {
    pub(crate) x: Vec<f64>,
    pub(crate) y: Vec<f64>,
    pub(crate) slope: Vec<f64>,
}

impl Oracle {
    /// From `3K - 1` parameters as nflows orders them; logits are multiplied by `scale`.
    pub(crate) fn new(bound: f64, scale: f64, p: &[f64]) -> Self {
        let bins = (p.len() + 1) / 3;
        let knots = |logits: &[f64]| {
            let top = logits.iter().fold(f64::MIN, |m, v| m.max(*v));
            let e: Vec<f64> = logits.iter().map(|v| (scale * (v - top)).exp()).collect();
            let total: f64 = e.iter().sum();
            let size = |e: &f64| 2. * bound * (1e-3 + (1. - 1e-3 * bins as f64) * e / total);
            let mut knots = vec![-bound];
            e.iter().for_each(|e| knots.push(knots[knots.len() - 1] + size(e)));
            knots[bins] = bound;
            knots
        };
        let mut slope = vec![1.];
        slope.extend(p[2 * bins..].iter().map(|v| 1e-3 + v.max(0.) + (-v.abs()).exp().ln_1p()));
        slope.push(1.);
        Self { x: knots(&p[..bins]), y: knots(&p[bins..2 * bins]), slope }
    }

    /// Equations 4 and 5: the value and the log of its derivative.
    pub(crate) fn forward(&self, x: f64) -> (f64, f64) {
        let bins = self.x.len() - 1;
        if !(self.x[0]..=self.x[bins]).contains(&x) {
            return (x, 0.);
        }
        let k = (0..bins).rev().find(|&k| x >= self.x[k]).unwrap_or(0);
        let (w, h) = (self.x[k + 1] - self.x[k], self.y[k + 1] - self.y[k]);
        let (s, d0, d1) = (h / w, self.slope[k], self.slope[k + 1]);
        let xi = (x - self.x[k]) / w;
        let denominator = s + (d1 + d0 - 2. * s) * xi * (1. - xi);
        let y = self.y[k] + h * (s * xi.powi(2) + d0 * xi * (1. - xi)) / denominator;
        let numerator = d1 * xi.powi(2) + 2. * s * xi * (1. - xi) + d0 * (1. - xi).powi(2);
        (y, (s.powi(2) * numerator / denominator.powi(2)).ln())
    }

    /// By bisection.
    pub(crate) fn inverse(&self, y: f64) -> (f64, f64) {
        let (mut low, mut high) = (self.x[0], self.x[self.x.len() - 1]);
        if !(low..=high).contains(&y) {
            return (y, 0.);
        }
        for _ in 0..200 {
            let middle = f64::midpoint(low, high);
            if self.forward(middle).0 < y { low = middle } else { high = middle }
        }
        (low, -self.forward(low).1)
    }

    pub(crate) fn map(&self, direction: Direction, x: f64) -> (f64, f64) {
        match direction {
            Direction::Forward => self.forward(x),
            Direction::Inverse => self.inverse(x),
        }
    }
}

/// Splines with given parameters, one set of `3K - 1` per feature, as a coupling whose network is
/// constant; the hidden width 4 makes the logit scale 1/2.
pub(crate) fn fixed(
    dim: usize,
    bound: f64,
    parameters: &[f64],
    dtype: DType,
    route: Route,
) -> (Arc<dyn Bijector>, ParamStore) {
    let bins = (parameters.len() / dim + 1) / 3;
    let config = CouplingConfig::new(dim, Mask::Moved((0..dim).collect()))
        .with_bins(bins, bound)
        .with_net(net(4, 0, Activation::Relu))
        .with_route(route);
    let mut store = ParamStore::new(1, dtype, device());
    let map = store.build(|_| true, |p| config.build(p)).unwrap();
    let mut named: BTreeMap<_, _> = store.to_named().unwrap();
    named.values_mut().for_each(|t| *t = host::zeros(t.shape(), t.dtype(), t.device()).unwrap());
    named.insert("net.final.bias".into(), tensor(parameters.to_vec(), &[parameters.len()]));
    store.assign(&named).unwrap();
    (map, store)
}

/// Parameters of `dim` splines, of the given size.
pub(crate) fn random_parameters(name: &str, dim: usize, bins: usize, size: f64) -> Vec<f64> {
    let n = dim * (3 * bins - 1);
    numbers(&(normal(&format!("{name} {bins}"), &[n]) * size).unwrap())
}

const ROUTES: [Route; 2] = [Route::Auto, Route::Composed];

#[test]
fn splines_equal_the_oracle() {
    let (rows, dim) = (41, 2);
    for (bins, bound, size) in [
        (1, 3., 1.),
        (2, 3., 2.),
        (3, 0.5, 1.),
        (5, 6., 2.),
        (10, 6., 1.),
        (10, 30., 3.),
        (40, 1., 1.),
        (300, 2., 1.),
    ] {
        let p = random_parameters("splines", dim, bins, size);
        let oracles: Vec<_> =
            p.chunks_exact(3 * bins - 1).map(|p| Oracle::new(bound, 0.5, p)).collect();
        // An even grid that reaches outside, and the middle of it shifted per feature.
        let x: Vec<f64> = (0..rows * dim)
            .map(|i| bound * (1.3 * ((i / dim) as f64 - 20.) / 20. + 0.01 * (i % dim) as f64))
            .collect();
        for direction in DIRECTIONS {
            let points: Vec<(f64, f64)> =
                x.iter().enumerate().map(|(i, x)| oracles[i % dim].map(direction, *x)).collect();
            let y: Vec<f64> = points.iter().map(|p| p.0).collect();
            let l: Vec<f64> = points.chunks_exact(dim).map(|p| p[0].1 + p[1].1).collect();
            for route in ROUTES {
                for (dtype, of_y, of_l) in [(DType::F64, 1e-12, 1e-10), (DType::F32, 5e-5, 2e-3)] {
                    let (map, _store) = fixed(dim, bound, &p, dtype, route);
                    let x = tensor(x.clone(), &[rows, dim]).to_dtype(dtype).unwrap();
                    let found = map.map(direction, &x, None).unwrap();
                    let at =
                        format!("{bins} bins on ±{bound}, {direction:?}, {route:?}, {dtype:?}");
                    let gap = gap_of(&numbers(&found.value), &y);
                    assert!(gap <= of_y, "{at}: value is off by {gap:.1e}");
                    let gap = gap_of(&numbers(&found.log_abs_det), &l);
                    assert!(gap <= of_l, "{at}: log-det is off by {gap:.1e}");
                }
            }
        }
    }
}

/// Widths, heights, then derivatives; features one after another; logits over `sqrt(hidden)`.
#[test]
fn parameters_lie_as_in_nflows() {
    // softmax(u / 2) = (1, 2, 1) / 4 and (1, 1, 2) / 4; softplus⁻¹(0.499) and softplus⁻¹(1.999).
    let two = 2. * 2_f64.ln();
    let raw = |d: f64| (d - 1e-3).exp_m1().ln();
    let (first, second) = ([0., two, 0., 0., 0., two], [raw(0.5), raw(2.)]);
    let swapped = [0., 0., two, 0., two, 0., raw(2.), raw(0.5)];
    let p: Vec<f64> = first.iter().chain(&second).chain(&swapped).copied().collect();
    let share = |part: f64| 2. * 4. * (1e-3 + 0.997 * part);
    let (quarter, half) = (share(0.25), share(0.5));
    // Inner knots of both features.
    let knots_x = [[-4. + quarter, -4. + quarter], [-4. + quarter + half, -4. + 2. * quarter]];
    let knots_y = [[-4. + quarter, -4. + quarter], [-4. + 2. * quarter, -4. + quarter + half]];
    let slopes = [[0.5, 2.], [2., 0.5]];
    for route in ROUTES {
        let (map, store) = fixed(2, 4., &p, DType::F64, route);
        assert_eq!(
            store.to_named().unwrap()["net.final.bias"].dims(),
            [2 * 8],
            "3K - 1 parameters for each of two features"
        );
        for k in 0..2 {
            let x = tensor(knots_x[k].to_vec(), &[1, 2]);
            let mapped = map.forward(&x, None).unwrap();
            let y = tensor(knots_y[k].to_vec(), &[1, 2]);
            close(&format!("{route:?}: knot {k}"), &mapped.value, &y, 1e-14);
            let l = tensor(vec![slopes[k].iter().map(|d: &f64| d.ln()).sum()], &[1]);
            close(&format!("{route:?}: log-slopes at knot {k}"), &mapped.log_abs_det, &l, 1e-13);
            let pushed = crate::cases::evaluate(
                map.as_ref(),
                Direction::Forward,
                &crate::cases::Inputs {
                    x,
                    context: None,
                    x_rows: crate::numbers::identity_rows(1, 2, DType::F64),
                    context_rows: None,
                },
                Some(crate::cases::Probe::X),
            );
            let diagonal = tensor(vec![slopes[k][0], 0., 0., slopes[k][1]], &[1, 2, 2]);
            close(&format!("{route:?}: slopes at knot {k}"), &pushed[2].1, &diagonal, 1e-13);
        }
    }
}

#[test]
fn equal_bins_with_unit_slopes_are_the_identity() {
    for bins in [1, 2, 10] {
        let mut p = vec![0.7; 3 * bins - 1];
        p[2 * bins..].fill(RationalQuadratic::unit_slope());
        let x = tensor((0..41).map(|i| 0.3 * f64::from(i) - 6.).collect(), &[41, 1]);
        for route in ROUTES {
            let (map, _store) = fixed(1, 4., &p, DType::F64, route);
            for direction in DIRECTIONS {
                let mapped = map.map(direction, &x, None).unwrap();
                let at = format!("{bins} bins, {direction:?}, {route:?}");
                close(&format!("{at}: value"), &mapped.value, &x, 1e-14);
                let zero = mapped.log_abs_det.zeros_like().unwrap();
                close(&format!("{at}: log-det"), &mapped.log_abs_det, &zero, 1e-13);
            }
        }
    }
}

/// Bins keep their least size and derivatives theirs, whatever the network says.
#[test]
fn extreme_parameters_stay_invertible() {
    let x = tensor((0..81).map(|i| 0.1 * f64::from(i) - 4.).collect(), &[81, 1]);
    for size in [100., 1e4, 1e30] {
        for signs in [[1., -1., 1., -1., 1.], [-1., -1., 1., 1., -1.], [1., 1., 1., 1., 1.]] {
            let p: Vec<f64> = signs.iter().chain(&signs[1..4]).map(|s| s * size).collect();
            for (dtype, tolerance) in [(DType::F64, 1e-7), (DType::F32, f64::INFINITY)] {
                let mut found = vec![];
                for route in ROUTES {
                    let (map, _store) = fixed(1, 4., &p, dtype, route);
                    let x = x.to_dtype(dtype).unwrap();
                    let there = map.forward(&x, None).unwrap();
                    let back = map.inverse(&there.value, None).unwrap();
                    let at = format!("parameters ±{size}, {signs:?}, {route:?}, {dtype:?}");
                    for t in [&there.value, &there.log_abs_det, &back.value, &back.log_abs_det] {
                        let finite = numbers(t).iter().all(|v| v.is_finite());
                        // A derivative of 1e30 is more than can be squared, and in f32 already
                        // one of 1e4 moves the root of the inverse out of its bin.
                        let hopeless = size > 1e29 || (dtype == DType::F32 && size > 1e3);
                        assert!(finite || hopeless, "{at}: everything is finite");
                    }
                    if size < 1e3 {
                        close(&format!("{at}: round trip"), &back.value, &x, tolerance);
                    }
                    found.push(there.value);
                }
                if size < 1e29 && dtype == DType::F64 {
                    close("routes agree on extreme parameters", &found[0], &found[1], 1e-9);
                }
            }
        }
    }
}

#[test]
fn many_bins_find_the_right_one() {
    // 999 bins is the most that the least bin size allows; points in the middle of chosen ones.
    let bins = 999;
    let mut p = vec![0.; 3 * bins - 1];
    p[2 * bins..].fill(RationalQuadratic::unit_slope());
    for dtype in [DType::F64, DType::F32] {
        let (map, _store) = fixed(1, 1., &p, dtype, Route::Auto);
        let x: Vec<f64> =
            [0, 1, 500, 997, 998].iter().map(|&k| -1. + 2. * (f64::from(k) + 0.5) / 999.).collect();
        let x = Tensor::from_vec(x, (5, 1), device()).unwrap().to_dtype(dtype).unwrap();
        let y = map.forward(&x, None).unwrap();
        let tolerance = if dtype == DType::F64 { 1e-12 } else { 1e-4 };
        close(&format!("{dtype:?}: 999 equal bins"), &y.value, &x, tolerance);
    }
}
