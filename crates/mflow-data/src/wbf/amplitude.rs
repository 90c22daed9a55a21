//! The squared amplitude of W fusion at leading order, with two effective operators.
//!
//! Massless quarks couple to the W with left hands alone, so that one helicity of each line is all there is,
//! and its current is a product of two-component spinors (Dixon 1996, arXiv:hep-ph/9601359):
//!
//! ```text
//! M = (g/√2)² J_1^μ J_2^ν g m_W T_μν / ((q_1² - m_W²) (q_2² - m_W²)),    J_1^μ = ū(p_3) γ^μ P_L u(p_1),
//! T_μν = g_μν + (c_1/2) (q_1·k g_μν - k_μ q_1ν + q_2·k g_μν - q_2μ k_ν) + c_2 ε_μναβ q_1^α q_2^β,
//! q_1 = p_1 - p_3,   q_2 = p_2 - p_4,   k = q_1 + q_2,   ε_0123 = -1
//! ```

use super::quadratic::Quadratic;
use super::vector::FourVector;

/// Mass of the W in GeV.
pub const M_W: f64 = 80.379;
/// Mass of the Higgs in GeV.
pub const M_H: f64 = 125.0;
/// Fermi's constant in 1/GeV².
pub const G_F: f64 = 1.166_378_7e-5;
/// `c_i = COUPLING θ_i`, in 1/GeV²: ten times `1/v²`.
pub const COUPLING: f64 = 165.2e-6;

/// `g²`, from `G_F / √2 = g² / (8 m_W²)`.
const G_SQUARED: f64 = 8.0 * M_W * M_W * G_F / std::f64::consts::SQRT_2;

/// What runs along a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A quark comes in and goes out.
    Quark,
    /// An antiquark does.
    Antiquark,
}

impl Line {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Quark, Self::Antiquark];
}

/// Momenta of a collision of two partons, in a frame of one's choice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Momenta {
    /// The partons that come in: `p_1` and `p_2`.
    pub incoming: [FourVector; 2],
    /// What they become: `p_3` and `p_4`. The Higgs takes the rest.
    pub outgoing: [FourVector; 2],
}

/// The squared amplitudes of one collision for all combinations of lines.
///
/// The currents are computed once.
#[derive(Clone, Copy, Debug)]
pub struct Amplitudes {
    momenta: Momenta,
    /// Of each line: the current of a quark. That of an antiquark is its conjugate.
    currents: [Current; 2],
    /// The squares of the coupling and propagators, and the average over spins.
    factor: f64,
}

impl Amplitudes {
    /// Of a collision.
    #[must_use]
    pub fn new(momenta: Momenta) -> Self {
        let Momenta { incoming: [p1, p2], outgoing: [p3, p4] } = momenta;
        // q² = (p - p')² = -2 p p' of massless partons.
        let propagators = (2.0 * p1.dot(p3) + M_W * M_W) * (2.0 * p2.dot(p4) + M_W * M_W);
        let coupling = 0.25 * G_SQUARED * G_SQUARED * G_SQUARED * M_W * M_W;
        Self {
            momenta,
            currents: [current(p1, p3), current(p2, p4)],
            factor: 0.25 * coupling / (propagators * propagators),
        }
    }

    /// `|M|²` as a polynomial in θ, averaged over spins, in 1/GeV². The colour factor is 1.
    #[must_use]
    pub fn squared(&self, lines: [Line; 2]) -> Quadratic {
        let Momenta { incoming: [p1, p2], outgoing: [p3, p4] } = self.momenta;
        let (q1, q2) = (p1 - p3, p2 - p4);
        let k = q1 + q2;
        let of_line = |i: usize| match lines[i] {
            Line::Quark => self.currents[i],
            // v̄(p1) γ v(p3): the spinors of a massless antiquark of the opposite helicity are the same.
            Line::Antiquark => self.currents[i].conjugate(),
        };
        let (j1, j2) = (of_line(0), of_line(1));
        let metric = j1.dot(&j2);
        // Currents are conserved, q_i J_i = 0: that leaves one of two products in k J_1 and in k J_2.
        let crossed = j1.along(q2) * j2.along(q1);
        let even = metric * (0.5 * COUPLING * (q1.dot(k) + q2.dot(k))) + crossed * -COUPLING;
        let odd = epsilon(&j1, &j2, q1, q2) * COUPLING;
        let product = |a: Complex, b: Complex| a.re * b.re + a.im * b.im;
        let of = [
            product(metric, metric),
            2.0 * product(metric, even),
            2.0 * product(metric, odd),
            product(even, even),
            2.0 * product(even, odd),
            product(odd, odd),
        ];
        Quadratic(of) * self.factor
    }
}

/// A complex number: the few operations that are needed.
#[derive(Clone, Copy, Debug, Default)]
struct Complex {
    re: f64,
    im: f64,
}

impl std::ops::Add for Complex {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }
}

impl std::ops::Sub for Complex {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { re: self.re - other.re, im: self.im - other.im }
    }
}

impl std::ops::Mul for Complex {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let re = self.re * other.re - self.im * other.im;
        Self { re, im: self.re * other.im + self.im * other.re }
    }
}

impl std::ops::Mul<f64> for Complex {
    type Output = Self;
    fn mul(self, factor: f64) -> Self {
        Self { re: self.re * factor, im: self.im * factor }
    }
}

impl Complex {
    fn conjugate(self) -> Self {
        Self { im: -self.im, ..self }
    }
}

/// `J^μ`: e, x, y, z.
#[derive(Clone, Copy, Debug)]
struct Current([Complex; 4]);

impl Current {
    fn conjugate(self) -> Self {
        Self(self.0.map(Complex::conjugate))
    }

    /// The product of two currents in the metric.
    fn dot(&self, other: &Self) -> Complex {
        let [a, b] = [self.0, other.0];
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3]
    }

    /// The product with a momentum.
    fn along(&self, p: FourVector) -> Complex {
        let j = self.0;
        j[0] * p.e - j[1] * p.x - j[2] * p.y - j[3] * p.z
    }
}

/// The left-handed spinor χ of a massless momentum: `(p·σ) χ = -|p| χ`, `χ†χ = 2E`.
fn spinor(p: FourVector) -> [Complex; 2] {
    let plus = if p.z >= 0.0 {
        p.e + p.z
    } else {
        // The same without the loss of digits.
        (p.x * p.x + p.y * p.y) / (p.e - p.z)
    };
    if plus == 0.0 {
        // Against the axis; the phase is free.
        return [Complex { re: (2.0 * p.e).sqrt(), im: 0.0 }, Complex::default()];
    }
    let root = plus.sqrt();
    [Complex { re: -p.x / root, im: p.y / root }, Complex { re: root, im: 0.0 }]
}

/// `ū(outgoing) γ^μ P_L u(incoming) = χ†(outgoing) (1, -σ) χ(incoming)`.
fn current(incoming: FourVector, outgoing: FourVector) -> Current {
    let [a, b] = spinor(incoming);
    let [c, d] = spinor(outgoing).map(Complex::conjugate);
    let i = Complex { re: 0.0, im: 1.0 };
    Current([
        c * a + d * b,
        (c * b + d * a) * -1.0,
        // σ_y = [[0, -i], [i, 0]].
        (d * a - c * b) * i * -1.0,
        d * b - c * a,
    ])
}

/// `ε_μναβ J_1^μ J_2^ν q_1^α q_2^β` with `ε_0123 = -1`: minus the determinant of the four as rows.
fn epsilon(j1: &Current, j2: &Current, q1: FourVector, q2: FourVector) -> Complex {
    let (a, b) = (j1.0, j2.0);
    let (c, d) = ([q1.e, q1.x, q1.y, q1.z], [q2.e, q2.x, q2.y, q2.z]);
    // Laplace: 2 x 2 minors of the currents times those of the momenta that they leave.
    let minor = |i: usize, j: usize| a[i] * b[j] - a[j] * b[i];
    let rest = |i: usize, j: usize| c[i] * d[j] - c[j] * d[i];
    let sum = minor(0, 1) * rest(2, 3) - minor(0, 2) * rest(1, 3)
        + minor(0, 3) * rest(1, 2)
        + minor(1, 2) * rest(0, 3)
        - minor(1, 3) * rest(0, 2)
        + minor(2, 3) * rest(0, 1);
    sum * -1.0
}
