//! The density of what a detector sees: an integral over what was there, by importance sampling.
//!
//! ```text
//! p(z|θ) = 1/σ(θ) Σ ∫ dσ(v|θ)/dv  p(z|v) dv,    v = (ln p_T, y, φ of two partons; y of the Higgs; η, φ of a photon)
//! ```
//!
//! with the rate σ(θ) after cuts, the Gaussian resolutions p(z|v) of the [`Detector`], and a sum over which parton is which
//! jet and which photon is which. The integrand is a polynomial in θ, so that six integrals are all of the likelihood. Points
//! come from a t-distribution around the v that explains z best, with the curvature of p(z|v) there.

use std::f64::consts::{PI, TAU};

use rand::{Rng, RngExt};
use rand_distr::{ChiSquared, Distribution, StandardNormal};

use super::amplitude::M_H;
use super::detector::{COORDINATES, Detector};
use super::generator::Settings;
use super::hard::Hard;
use super::phase_space::{Point, Variables};
use super::rate::{Rate, Sums};
use super::vector::{FourVector, angle_between};
use crate::simulators::charted::cholesky;
use crate::simulators::nearest::damped_step;

/// Numbers that v is made of.
const HIDDEN: usize = 9;

/// Degrees of freedom of the t-distribution: tails that are heavier than those of the integrand.
const FREEDOM: f64 = 6.0;
/// By how much it is wider.
const WIDER: f64 = 1.1;

/// Where a way to explain an event is worse by so much in `χ²`, it is left out: less than 1e-10 of the other.
const HOPELESS: f64 = 50.0;

/// What was there: v.
#[derive(Clone, Copy, Debug)]
struct Hidden([f64; HIDDEN]);

/// An event with its hidden variables filled in.
struct Explained {
    point: Point,
    photons: [FourVector; 2],
    /// Density of the direction of the first photon, per unit of η and φ.
    decay: f64,
}

impl Hidden {
    fn variables(&self) -> Variables {
        let [a, b, c, d, e, f, rapidity_h, ..] = self.0;
        Variables { log_pt: [a, d], rapidity: [b, e], phi: [c, f], rapidity_h }
    }

    /// `None` where the protons have not the energy for it.
    fn explain(&self) -> Option<Explained> {
        let point = self.variables().point()?;
        let [.., eta, phi] = self.0;
        let higgs = point.higgs;
        let direction = FourVector::from_direction(1.0 / eta.cosh(), eta, phi, 0.0);
        // (E_H - p_H n) E = m_H²/2 for a photon of the direction n.
        let projected = higgs.dot(direction);
        let e = 0.5 * M_H * M_H / projected;
        let first = FourVector::from_direction(e / eta.cosh(), eta, phi, 0.0);
        // Uniform in the rest frame: dΩ* = (m_H / (E_H - p_H n))² dΩ, dΩ = dη dφ / cosh² η.
        let decay = (M_H / (projected * eta.cosh())).powi(2) / (4.0 * PI);
        Some(Explained { point, photons: [first, higgs - first], decay })
    }
}

/// `(z - mean) / deviation` of each coordinate, and the sum of the logarithms of the deviations.
///
/// `jets` says where in z each parton is.
fn residuals(
    detector: &Detector,
    z: &[f64; COORDINATES],
    jets: [usize; 2],
    v: &Hidden,
    photons: [FourVector; 2],
) -> ([f64; COORDINATES], f64) {
    let Variables { log_pt, rapidity, phi, .. } = v.variables();
    let mut all = [0.0; COORDINATES];
    let mut log_deviations = 0.0;
    let mut put = |start: usize, of: &[(f64, f64)]| {
        for (i, (mean, deviation)) in of.iter().enumerate() {
            let z = z[start + i];
            let difference = if i == 2 { angle_between(*mean, z) } else { z - mean };
            all[start + i] = difference / deviation;
            log_deviations += deviation.ln();
        }
    };
    put(0, &detector.photon(photons[0]));
    put(3, &detector.photon(photons[1]));
    for i in 0..2 {
        put(jets[i], &detector.jet(log_pt[i], rapidity[i], phi[i]));
    }
    (all, log_deviations)
}

/// One way to explain an event: which jet each parton is.
struct Way<'a> {
    settings: &'a Settings,
    z: &'a [f64; COORDINATES],
    jets: [usize; 2],
}

impl Way<'_> {
    fn residuals(&self, v: &Hidden) -> Option<[f64; COORDINATES]> {
        let photons = v.explain()?.photons;
        Some(residuals(&self.settings.detector, self.z, self.jets, v, photons).0)
    }

    /// v as it was seen.
    fn start(&self) -> Hidden {
        let z = self.z;
        let [a, b] = self.jets.map(|at| [z[at], z[at + 1], z[at + 2]]);
        let photon = |i: usize| FourVector::from_direction(z[i].exp(), z[i + 1], z[i + 2], 0.0);
        let pair = photon(0) + photon(3);
        let rapidity = (pair.z / pair.e).atanh();
        let mut v = Hidden([a[0], a[1], a[2], b[0], b[1], b[2], rapidity, z[1], z[2]]);
        // What was seen may have more energy than there is.
        const TRIES: usize = 100;
        for _ in 0..TRIES {
            if v.explain().is_some() && self.slopes(&v).is_some() {
                break;
            }
            for at in [0, 3] {
                v.0[at] -= 0.05;
            }
            for at in [1, 4, 6] {
                v.0[at] *= 0.95;
            }
        }
        v
    }

    /// `∂ residuals / ∂v`, by differences: they shape the proposal alone, no value of the integrand.
    fn slopes(&self, v: &Hidden) -> Option<Vec<Vec<f64>>> {
        const STEP: f64 = 1e-5;
        let mut columns = Vec::with_capacity(HIDDEN);
        for i in 0..HIDDEN {
            let moved = |by: f64| {
                let mut v = *v;
                v.0[i] += by;
                self.residuals(&v)
            };
            let (up, down) = (moved(STEP)?, moved(-STEP)?);
            columns.push((0..COORDINATES).map(|k| (up[k] - down[k]) / (2.0 * STEP)).collect());
        }
        let columns: Vec<Vec<f64>> = columns;
        Some((0..COORDINATES).map(|k| columns.iter().map(|column| column[k]).collect()).collect())
    }

    /// The v of the least `χ²`, by Levenberg's and Marquardt's method, with `χ²` and slopes.
    fn best(&self) -> Option<(Hidden, f64, Vec<Vec<f64>>)> {
        const STEPS: usize = 60;
        let sum = |r: &[f64; COORDINATES]| r.iter().map(|r| r * r).sum::<f64>();
        let mut v = self.start();
        let mut residuals = self.residuals(&v)?;
        let mut slopes = self.slopes(&v)?;
        let mut damping = 1e-3;
        for _ in 0..STEPS {
            let step = damped_step(&slopes, &residuals, damping);
            let mut moved = v;
            moved.0.iter_mut().zip(&step).for_each(|(v, step)| *v -= step);
            let found = self.residuals(&moved).zip(self.slopes(&moved));
            match found.filter(|(r, _)| sum(r) <= sum(&residuals)) {
                Some((better, there)) => {
                    let gain = sum(&residuals) - sum(&better);
                    (v, residuals, slopes) = (moved, better, there);
                    damping *= 0.1;
                    if gain < 1e-6 {
                        break;
                    }
                }
                None => damping *= 10.0,
            }
            if damping > 1e9 {
                break;
            }
        }
        Some((v, sum(&residuals), slopes))
    }

    /// The integrand at v, as a polynomial in θ, and its logarithm's scale factored out: `Quadratic * exp(log)`.
    fn integrand(&self, v: &Hidden) -> Option<(super::Quadratic, f64)> {
        let explained = v.explain()?;
        let detector = &self.settings.detector;
        let (r, log_deviations) = residuals(detector, self.z, self.jets, v, explained.photons);
        let squares: f64 = r.iter().map(|r| r * r).sum();
        #[expect(clippy::cast_precision_loss, reason = "14")]
        let log_normal = -0.5 * squares - log_deviations - 0.5 * COORDINATES as f64 * TAU.ln();
        let hard = Hard::new(&explained.point, self.settings.densities.as_ref());
        Some((hard.cross_section() * explained.decay, log_normal))
    }

    /// Its integral over v from `points` points, times `exp(-log_scale)`.
    fn integral(
        &self,
        (centre, slopes): (&Hidden, &[Vec<f64>]),
        points: usize,
        log_scale: f64,
        rng: &mut dyn Rng,
    ) -> Rate {
        let factor = cholesky(slopes, 0.0);
        #[expect(clippy::cast_precision_loss, reason = "9")]
        let dim = HIDDEN as f64;
        let log_volume: f64 = factor.iter().enumerate().map(|(i, row)| row[i].ln()).sum();
        let log_normaliser = ln_gamma(0.5 * (FREEDOM + dim))
            - ln_gamma(0.5 * FREEDOM)
            - 0.5 * dim * (FREEDOM * PI).ln()
            - dim * WIDER.ln()
            + log_volume;
        let mut sums = Sums::default();
        for _ in 0..points {
            let normal: [f64; HIDDEN] = std::array::from_fn(|_| rng.sample(StandardNormal));
            let stretch = (FREEDOM / chi_squared(rng)).sqrt();
            let t = normal.map(|n| n * stretch);
            let squared: f64 = t.iter().map(|t| t * t).sum();
            let log_proposal = log_normaliser - 0.5 * (FREEDOM + dim) * (squared / FREEDOM).ln_1p();
            // v = centre + WIDER L^-T t, where L L^T is the curvature.
            let mut v = t.map(|t| WIDER * t);
            for i in (0..HIDDEN).rev() {
                let above: f64 = (i + 1..HIDDEN).map(|k| factor[k][i] * v[k]).sum();
                v[i] = (v[i] - above) / factor[i][i];
            }
            let mut at = *centre;
            at.0.iter_mut().zip(v).for_each(|(at, v)| *at += v);
            let value =
                self.integrand(&at).map(|(of, log)| of * (log - log_proposal - log_scale).exp());
            sums.add(value.unwrap_or_default());
        }
        sums.rate()
    }
}

/// `ln Γ(x)`.
fn ln_gamma(x: f64) -> f64 {
    statrs::function::gamma::ln_gamma(x)
}

/// A draw from χ² of [`FREEDOM`] degrees.
fn chi_squared(rng: &mut dyn Rng) -> f64 {
    match ChiSquared::new(FREEDOM) {
        Ok(of) => of.sample(rng),
        // The degrees are positive.
        Err(_) => FREEDOM,
    }
}

/// The likelihood function of one event up to the rate: `dσ/dz` at z as a polynomial in θ, in picobarn per unit of z, with
/// its error; the logarithm of a scale is apart, as densities in 14 dimensions are large.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Evidence {
    pub(super) rate: Rate,
    pub(super) log_scale: f64,
}

/// Of an event, by `points` points for each of the ways to explain it. All of it is 0 for what no event explains.
pub(super) fn evidence(
    settings: &Settings,
    z: &[f64; COORDINATES],
    points: usize,
    rng: &mut dyn Rng,
) -> Evidence {
    let ways = [[6, 10], [10, 6]].map(|jets| Way { settings, z, jets });
    let best = ways.each_ref().map(Way::best);
    let least = best.iter().flatten().map(|(_, chi, _)| *chi).fold(f64::INFINITY, f64::min);
    let log_scale = if least.is_finite() { -0.5 * least } else { 0.0 };
    let mut rate = Rate::default();
    for (way, best) in ways.iter().zip(&best) {
        match best {
            Some((centre, chi, slopes)) if *chi < least + HOPELESS => {
                rate = rate + way.integral((centre, slopes), points, log_scale, rng);
            }
            _ => {}
        }
    }
    // The photon that is followed is one of two, and they are alike.
    Evidence { rate: rate * 2.0, log_scale }
}
