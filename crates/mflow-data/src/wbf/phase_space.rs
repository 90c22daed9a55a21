//! From six numbers between 0 and 1, and an azimuth, to the momenta of a collision.
//!
//! With δ-functions for energy and momentum used up, the cross section of `p p -> p_3 p_4 H` is
//!
//! ```text
//! dσ = f_1(x_1) f_2(x_2) |M|² / (2 ŝ) · (2/s) (2π)⁴ Π_i 1/(2 (2π)³) · d²p_T3 d²p_T4 dy_3 dy_4 dy_H,    ŝ = x_1 x_2 s,
//! x_1 √s = Σ m_Ti e^{y_i},   x_2 √s = Σ m_Ti e^{-y_i},   p_TH = -p_T3 - p_T4
//! ```

use std::f64::consts::TAU;

use super::amplitude::{M_H, Momenta};
use super::vector::FourVector;

/// Energy of the collider in GeV.
pub(super) const ENERGY: f64 = 13_000.0;

/// Numbers between 0 and 1 that a point of phase space is made of, beside the azimuth of all of it.
pub(super) const DIM: usize = 6;

/// The variables of the hard process: what is left when energy and momentum are conserved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Variables {
    /// `ln p_T` of the two partons that come out.
    pub(super) log_pt: [f64; 2],
    /// Their rapidities.
    pub(super) rapidity: [f64; 2],
    /// Their azimuths.
    pub(super) phi: [f64; 2],
    /// Rapidity of the Higgs.
    pub(super) rapidity_h: f64,
}

/// A point of phase space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) momenta: Momenta,
    pub(super) higgs: FourVector,
    /// `x_1` and `x_2`.
    pub(super) fractions: [f64; 2],
    /// What `x_1 f(x_1) x_2 f(x_2) |M|²` is multiplied by to give `dσ / (d ln p_T3 dy_3 dφ_3 d ln p_T4 dy_4 dφ_4 dy_H)`
    /// in picobarn.
    pub(super) measure: f64,
}

/// A picobarn in 1/GeV² is the inverse of this (CODATA 2018).
const PICOBARN: f64 = 0.389_379_372_1e9;

impl Variables {
    /// The momenta; `None` where the protons have not the energy for it.
    pub(super) fn point(&self) -> Option<Point> {
        let Self { log_pt, rapidity, phi, rapidity_h } = *self;
        let pt = log_pt.map(f64::exp);
        let jet = |i: usize| FourVector::from_rapidity(pt[i], rapidity[i], phi[i], 0.0);
        let (p3, p4) = (jet(0), jet(1));
        let (x, y) = (-p3.x - p4.x, -p3.y - p4.y);
        let transverse = (M_H * M_H + x * x + y * y).sqrt();
        let higgs = FourVector {
            e: transverse * rapidity_h.cosh(),
            x,
            y,
            z: transverse * rapidity_h.sinh(),
        };
        // Sums of E + p_z and E - p_z, without loss of digits where they cancel.
        let light_cone = |sign: f64| {
            pt[0] * (sign * rapidity[0]).exp()
                + pt[1] * (sign * rapidity[1]).exp()
                + transverse * (sign * rapidity_h).exp()
        };
        let fractions = [light_cone(1.0), light_cone(-1.0)].map(|sum| sum / ENERGY);
        if !fractions.iter().all(|x| *x < 1.0) {
            return None;
        }
        let beam = |i: usize, sign: f64| {
            let e = 0.5 * fractions[i] * ENERGY;
            FourVector { e, x: 0.0, y: 0.0, z: sign * e }
        };
        let momenta = Momenta { incoming: [beam(0, 1.0), beam(1, -1.0)], outgoing: [p3, p4] };
        // d²p_T = p_T² d ln p_T dφ; x f(x) in the place of f(x) leaves a second x_1 x_2.
        let s = ENERGY * ENERGY;
        let shares = fractions[0] * fractions[1];
        let flux = 1.0 / (2.0 * shares * s * shares);
        let each = 1.0 / (2.0 * TAU.powi(3));
        let space = 2.0 / s * TAU.powi(4) * each.powi(3) * (pt[0] * pt[1]).powi(2);
        Some(Point { momenta, higgs, fractions, measure: PICOBARN * flux * space })
    }

    /// From numbers between 0 and 1, and an azimuth: the variables, and the volume of them per volume of these numbers
    /// and of the azimuth over 2π.
    pub(super) fn from_unit(u: &[f64; DIM], azimuth: f64) -> (Self, f64) {
        let mut volume = TAU * TAU;
        // ln(1 + p_T²/s_0) from 0 to its largest value: flat up to p_T² = s_0, where propagators fall off.
        const S_0: f64 = 50.0 * 50.0;
        let most = (1.0 + 0.25 * ENERGY * ENERGY / S_0).ln();
        let mut log_pt = |u: f64| {
            let squared = S_0 * (most * u).exp_m1();
            // d ln p_T = (p_T² + s_0) / (2 p_T²) d ln(1 + p_T²/s_0).
            volume *= most * (squared + S_0) / (2.0 * squared);
            0.5 * squared.ln()
        };
        let log_pt = [log_pt(u[0]), log_pt(u[1])];
        let mut rapidity = |u: f64, log_mass: f64| {
            // Nothing is faster than e^y = √s / m_T, and hardly any parton than this.
            const MOST: f64 = 9.0;
            let most = (ENERGY.ln() - log_mass).clamp(0.0, MOST);
            volume *= 2.0 * most;
            most * (2.0 * u - 1.0)
        };
        let rapidities = [rapidity(u[2], log_pt[0]), rapidity(u[3], log_pt[1])];
        let rapidity_h = rapidity(u[4], M_H.ln());
        let phi = [TAU * azimuth, TAU * (azimuth + u[5])];
        (Self { log_pt, rapidity: rapidities, phi, rapidity_h }, volume)
    }
}
