//! Lengths of polylines and areas of triangles between decoded points: integrals over manifolds in which
//! no Gram matrix of the code takes part.
use crate::numbers::{numbers, tensor};
use mflow_core::candle::Tensor;

/// How far from 1 an integral may be; a density off by 5 % must not pass.
const TOLERANCE: f64 = 0.01;

/// What is integrated: points of the manifold, and log-densities there, both from latents.
pub(crate) struct Integrand<'a> {
    pub(crate) n: usize,
    pub(crate) decode: &'a dyn Fn(&Tensor) -> Tensor,
    /// From latents and the points decoded from them.
    pub(crate) log_prob: &'a dyn Fn(&Tensor, &Tensor) -> Tensor,
}

impl Integrand<'_> {
    /// Decoded points at the given latents, row-major, and if asked for the densities there; in blocks,
    /// which stay in the cache.
    pub(crate) fn evaluate(&self, latent: &[f64], density: bool) -> (Vec<f64>, Vec<f64>) {
        let (mut points, mut densities) = (vec![], vec![]);
        for block in latent.chunks(500 * self.n) {
            let latent = tensor(block.to_vec(), &[block.len() / self.n, self.n]);
            let x = (self.decode)(&latent);
            points.extend(numbers(&x));
            if density {
                let log_prob = numbers(&(self.log_prob)(&latent, &x));
                densities.extend(log_prob.iter().map(|v| v.exp()));
            }
        }
        (points, densities)
    }

    /// Shares of the density on consecutive segments of the curve over latents in `[-half, half]`.
    pub(crate) fn shares(&self, half: f64, cells: usize) -> Vec<f64> {
        let at = |i: usize| -half + half * i as f64 / cells as f64;
        // Even places are the ends of segments, odd ones their middles.
        let (x, p) = self.evaluate(&(0..=2 * cells).map(at).collect::<Vec<_>>(), true);
        let d = x.len() / (2 * cells + 1);
        let length = |i: usize| distance(&x[2 * i * d..][..d], &x[(2 * i + 2) * d..][..d]);
        (0..cells).map(|i| length(i) * p[2 * i + 1]).collect()
    }

    /// The integral over a curve or a surface, of latents in `[-half, half]` in each direction.
    pub(crate) fn total(&self, half: f64, cells: usize) -> f64 {
        if self.n == 1 {
            return self.shares(half, cells).iter().sum();
        }
        let side = cells + 1;
        let line = |i: f64| -half + 2. * half * i / cells as f64;
        let grid = |cells: usize, offset: f64| -> Vec<f64> {
            let at = |i: usize| line(i as f64 + offset);
            (0..cells * cells).flat_map(|k| [at(k / cells), at(k % cells)]).collect()
        };
        let (corners, _) = self.evaluate(&grid(side, 0.), false);
        let (centres, p) = self.evaluate(&grid(cells, 0.5), true);
        let d = corners.len() / (side * side);
        let corner = |i: usize, j: usize| &corners[(i * side + j) * d..][..d];
        let cell = |k: usize| {
            let (i, j) = (k / cells, k % cells);
            let ring = [corner(i, j), corner(i, j + 1), corner(i + 1, j + 1), corner(i + 1, j)];
            let middle = &centres[k * d..][..d];
            let around = (0..4).map(|e| area(ring[e], ring[(e + 1) % 4], middle));
            p[k] * around.sum::<f64>()
        };
        (0..cells * cells).map(cell).sum()
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// Area of a triangle in `R^D` by Heron's formula in its stable form, from the sides alone.
fn area(a: &[f64], b: &[f64], c: &[f64]) -> f64 {
    let mut s = [distance(a, b), distance(b, c), distance(c, a)];
    s.sort_by(f64::total_cmp);
    let [z, y, x] = s;
    let product = (x + (y + z)) * (z - (x - y)) * (z + (x - y)) * (x + (y - z));
    0.25 * product.max(0.).sqrt()
}

/// The integral is 1, and one that is 5 % off would be noticed.
#[track_caller]
pub(crate) fn check_total(what: &str, total: f64) {
    let passes = |total: f64| (total - 1.).abs() < TOLERANCE;
    assert!(passes(total), "{what}: the density integrates to {total}");
    assert!(!passes(0.95 * total) && !passes(1.05 * total), "{what}: 5 % would be noticed");
}

/// Which of `bins` equal parts of `[-half, half]` a number is in.
pub(crate) fn bin_of(value: f64, half: f64, bins: usize) -> Option<usize> {
    let place = (value + half) / (2. * half) * bins as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
    (0. ..bins as f64).contains(&place).then_some(place as usize)
}

/// Counts of `rows` draws against the shares expected in each cell: chi-square below its mean and five
/// deviations. Cells of fewer than 20 expected draws, and what is outside of all, are one cell.
#[track_caller]
pub(crate) fn check_counts(what: &str, counts: &[f64], shares: &[f64], rows: usize) {
    let rows = rows as f64;
    let (mut chi_square, mut cells) = (0., 0.);
    let mut rest = [rows, rows];
    for (count, share) in counts.iter().zip(shares) {
        let expected = share * rows;
        if expected >= 20. {
            chi_square += (count - expected).powi(2) / expected;
            cells += 1.;
            rest = [rest[0] - count, rest[1] - expected];
        }
    }
    if rest[1] >= 20. {
        chi_square += (rest[0] - rest[1]).powi(2) / rest[1];
    }
    assert!(cells >= 10., "{what}: only {cells} cells are well filled");
    let bound = cells + 5. * f64::sqrt(2. * cells);
    assert!(chi_square < bound, "{what}: chi-square of {cells} cells is {chi_square}");
}

#[test]
fn the_area_of_a_known_triangle() {
    let found = area(&[0., 0., 1.], &[3., 0., 1.], &[0., 4., 1.]);
    assert!((found - 6.).abs() < 1e-14, "half of 3 x 4, found {found}");
}
