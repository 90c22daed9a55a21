//! Densities of partons in the proton.

use std::fmt::Debug;

/// What a proton is made of, as far as W fusion and the sum rules ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parton {
    /// d, s, b: the flavours of charge -1/3, by generation from 0.
    Down(usize),
    /// u, c.
    Up(usize),
    /// Their antiquarks.
    AntiDown(usize),
    /// Those of u and c.
    AntiUp(usize),
}

impl Parton {
    /// Its number in the scheme of the Particle Data Group.
    #[must_use]
    pub fn pdg(self) -> i32 {
        let number = |generation: usize, first: i32| {
            first + 2 * i32::try_from(generation).unwrap_or(i32::MAX / 4)
        };
        match self {
            Self::Down(generation) => number(generation, 1),
            Self::Up(generation) => number(generation, 2),
            Self::AntiDown(generation) => -number(generation, 1),
            Self::AntiUp(generation) => -number(generation, 2),
        }
    }

    /// What it becomes when it emits a W: its partner, as the quark mixing matrix is 1.
    #[must_use]
    pub fn partner(self) -> Self {
        match self {
            Self::Down(generation) => Self::Up(generation),
            Self::Up(generation) => Self::Down(generation),
            Self::AntiDown(generation) => Self::AntiUp(generation),
            Self::AntiUp(generation) => Self::AntiDown(generation),
        }
    }
}

/// Momentum densities `x f(x)` of the quarks of two generations, at the scale of the process.
///
/// Implement this for densities of your own, for instance those of an LHAPDF grid at a fixed scale. (The maintained reader of
/// such grids in Rust, the crate `neopdf`, has the GPL for its licence, so this library does not depend on it.)
pub trait PartonDensities: Debug + Send + Sync {
    /// At the momentum fraction `x`, between 0 and 1.
    fn momentum(&self, x: f64) -> QuarkMomenta;
}

/// `x f(x)` of each quark and antiquark; index 0 is the first generation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QuarkMomenta {
    /// d and s.
    pub down: [f64; 2],
    /// u and c.
    pub up: [f64; 2],
    /// Their antiquarks.
    pub anti_down: [f64; 2],
    /// Those of u and c.
    pub anti_up: [f64; 2],
}

impl QuarkMomenta {
    /// Of one parton; 0 for the third generation.
    #[must_use]
    pub fn of(&self, parton: Parton) -> f64 {
        let (of, generation) = match parton {
            Parton::Down(generation) => (&self.down, generation),
            Parton::Up(generation) => (&self.up, generation),
            Parton::AntiDown(generation) => (&self.anti_down, generation),
            Parton::AntiUp(generation) => (&self.anti_up, generation),
        };
        of.get(generation).copied().unwrap_or(0.0)
    }
}

/// Valence and sea in closed form, at one scale, near the mass of the W:
///
/// ```text
/// x u_v = N_u x^0.6 (1 - x)^3.8,   x d_v = N_d x^0.6 (1 - x)^4.8,
/// x q̄  = r_q N_s x^-0.38 (1 - x)^7,   r = 1.1, 1, 0.85, 0.6, 0.35 for d, u, s, c, b,
/// ```
///
/// with `N_u` and `N_d` such that there are 2 and 1 of them. Quarks carry 58 % of the momentum, the gluon the rest, which
/// W fusion does not see. The shapes are ours, drawn to resemble fitted densities at 100 GeV at a glance (within some tens
/// of per cent), with no claim beyond that: there is no evolution with the scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnalyticDensities;

/// `(power of x, power of 1 - x, normalisation)` of the valence of u; the normalisation is `2 / B(0.6, 4.8)`.
const VALENCE_U: [f64; 3] = [0.6, 3.8, 3.357_840_566_9];
/// The same of d: `1 / B(0.6, 5.8)`.
const VALENCE_D: [f64; 3] = [0.6, 4.8, 1.888_785_318_8];
/// Of the sea, but for the share of the flavour.
const SEA: [f64; 3] = [-0.38, 7.0, 0.085];
/// Shares of d, u, s, c, b in it.
const SHARES: [f64; 5] = [1.1, 1.0, 0.85, 0.6, 0.35];

impl AnalyticDensities {
    /// The share of the momentum that is left for the gluon.
    pub const GLUON: f64 = 0.4163;

    /// `x` times the densities of the valence of u and of d, and of the sea with a share of 1.
    fn parts(x: f64) -> [f64; 3] {
        let (log_x, log_rest) = (x.ln(), (-x).ln_1p());
        let power = |[a, b, n]: [f64; 3]| n * (a * log_x + b * log_rest).exp();
        [power(VALENCE_U), power(VALENCE_D), power(SEA)]
    }

    /// The momentum fraction `x f(x)` of b and its antiquark, each.
    #[must_use]
    pub fn bottom(&self, x: f64) -> f64 {
        SHARES[4] * Self::parts(x)[2]
    }
}

impl PartonDensities for AnalyticDensities {
    fn momentum(&self, x: f64) -> QuarkMomenta {
        let [valence_u, valence_d, sea] = Self::parts(x);
        let [d, u, s, c, _] = SHARES.map(|share| share * sea);
        QuarkMomenta {
            down: [valence_d + d, s],
            up: [valence_u + u, c],
            anti_down: [d, s],
            anti_up: [u, c],
        }
    }
}
