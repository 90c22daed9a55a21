//! Densities of angles: normal ones wrapped around the circle, and von Mises'.

use std::f64::consts::{PI, TAU};

use rand::{Rng, RngExt};

/// Windings to either side that are summed. Widths here are below 1, and what lies beyond is more than
/// 15 widths away.
const WINDINGS: i32 = 3;

/// Points of the trapezoidal rule for the normaliser: on a periodic analytic function it converges
/// faster than any power, here to rounding for concentrations up to 1000.
const POINTS: u32 = 512;

/// The angle in (-pi, pi] that differs by whole turns.
pub(super) fn principal(angle: f64) -> f64 {
    let turned = angle.rem_euclid(TAU);
    if turned > PI { turned - TAU } else { turned }
}

/// The logarithm of a normal density.
pub(super) fn log_normal(x: f64, mean: f64, width: f64) -> f64 {
    let z = (x - mean) / width;
    -0.5 * z * z - width.ln() - 0.5 * TAU.ln()
}

/// `log sum exp` without overflow; negative infinity for no terms.
pub(super) fn log_sum_exp(logs: &[f64]) -> f64 {
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top == f64::NEG_INFINITY {
        return top;
    }
    top + logs.iter().map(|log| (log - top).exp()).sum::<f64>().ln()
}

/// The log density of an angle that is normal before whole turns are dropped, per radian.
pub(super) fn log_wrapped_normal(angle: f64, mean: f64, width: f64) -> f64 {
    let difference = principal(angle - mean);
    let turn = |k| log_normal(difference + TAU * f64::from(k), 0.0, width);
    log_sum_exp(&(-WINDINGS..=WINDINGS).map(turn).collect::<Vec<_>>())
}

/// von Mises' log density, per radian: `exp(kappa cos(angle - mean)) / (2 pi I_0(kappa))`.
pub(super) fn log_von_mises(angle: f64, mean: f64, kappa: f64) -> f64 {
    kappa * ((angle - mean).cos() - 1.0) - log_normaliser(kappa)
}

/// `log(2 pi I_0(kappa) exp(-kappa))`, the integral of `exp(kappa (cos t - 1))` over a turn.
fn log_normaliser(kappa: f64) -> f64 {
    let step = TAU / f64::from(POINTS);
    let values = (0..POINTS).map(|k| (kappa * ((f64::from(k) * step).cos() - 1.0)).exp());
    (step * values.sum::<f64>()).ln()
}

/// Draws from von Mises' density by rejection from a wrapped Cauchy one (Best and Fisher 1979).
pub(super) fn sample_von_mises(mean: f64, kappa: f64, rng: &mut dyn Rng) -> f64 {
    let tau = 1.0 + (1.0 + 4.0 * kappa * kappa).sqrt();
    let rho = (tau - (2.0 * tau).sqrt()) / (2.0 * kappa);
    let r = (1.0 + rho * rho) / (2.0 * rho);
    loop {
        let (u1, u2): (f64, f64) = (rng.random(), rng.random());
        let z = (PI * u1).cos();
        let f = (1.0 + r * z) / (r + z);
        let c = kappa * (r - f);
        if c * (2.0 - c) > u2 || (c / u2).ln() + 1.0 >= c {
            let side = if rng.random::<f64>() < 0.5 { -1.0 } else { 1.0 };
            return principal(mean + side * f.clamp(-1.0, 1.0).acos());
        }
    }
}
