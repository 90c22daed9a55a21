//! The height of the surface, a polynomial damped by a Gaussian, with two orders of derivatives.

/// The damping is exp(-DAMPING |z|^2).
const DAMPING: f64 = 0.1;

/// Beyond this |z|^2 the damping underflows to 0, while the monomials may overflow.
const FLAT_BEYOND: f64 = 7500.0;

/// A function of two variables at one point: its value and derivatives up to the second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct HeightJet {
    /// f.
    pub value: f64,
    /// The derivatives by z0 and by z1.
    pub gradient: [f64; 2],
    /// The second derivatives by z0 z0, z0 z1 and z1 z1.
    pub hessian: [f64; 3],
}

/// exp(-0.1 |z|^2) times the polynomial with these coefficients, with its derivatives.
pub(super) fn jet(coefficients: &[f64; 21], z: [f64; 2]) -> HeightJet {
    let [x, y] = z;
    let square = x * x + y * y;
    if square > FLAT_BEYOND {
        return HeightJet::default();
    }
    let poly = polynomial(coefficients, z);
    let e = (-DAMPING * square).exp();
    let p = poly.value;
    let [px, py] = poly.gradient;
    let [pxx, pxy, pyy] = poly.hessian;
    let c = 2.0 * DAMPING;
    // (E P)' = E (P' - c z P), and once more for the second derivatives.
    HeightJet {
        value: e * p,
        gradient: [e * (px - c * x * p), e * (py - c * y * p)],
        hessian: [
            e * (pxx - 2.0 * c * x * px + (c * c * x * x - c) * p),
            e * (pxy - c * (x * py + y * px) + c * c * x * y * p),
            e * (pyy - 2.0 * c * y * py + (c * c * y * y - c) * p),
        ],
    }
}

/// The polynomial alone, with its derivatives.
fn polynomial(coefficients: &[f64; 21], [x, y]: [f64; 2]) -> HeightJet {
    let (px, py) = (powers(x), powers(y));
    let mut jet = HeightJet::default();
    let mut k = 0;
    for degree in 0..=5 {
        for j in 0..=degree {
            let i = degree - j;
            let (a, [fi, fj]) = (coefficients[k], [i, j].map(|n| FACTORS[n]));
            // powers() begins with two zeros, so that the derivatives of constants vanish.
            jet.value += a * px[i + 2] * py[j + 2];
            jet.gradient[0] += a * fi.0 * px[i + 1] * py[j + 2];
            jet.gradient[1] += a * fj.0 * px[i + 2] * py[j + 1];
            jet.hessian[0] += a * fi.1 * px[i] * py[j + 2];
            jet.hessian[1] += a * fi.0 * fj.0 * px[i + 1] * py[j + 1];
            jet.hessian[2] += a * fj.1 * px[i + 2] * py[j];
            k += 1;
        }
    }
    jet
}

/// n and n (n - 1), the factors that differentiating the n-th power once and twice brings down.
const FACTORS: [(f64, f64); 6] =
    [(0.0, 0.0), (1.0, 0.0), (2.0, 2.0), (3.0, 6.0), (4.0, 12.0), (5.0, 20.0)];

/// [0, 0, 1, x, x^2, ..., x^5].
fn powers(x: f64) -> [f64; 8] {
    let x2 = x * x;
    [0.0, 0.0, 1.0, x, x2, x2 * x, x2 * x2, x2 * x2 * x]
}
