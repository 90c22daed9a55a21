//! Curves and grids of base-space latents, over the region where those of a model fall.
use crate::Result;
use mflow_bijectors::{Domain, Stream};
use mflow_eval::metrics::Evaluated;
use mflow_eval::statistics::percentiles;
use std::f64::consts::PI;

/// Draws by which the region is found.
const DRAWS: usize = 10_000;
/// Neighbours on a curve are about so far apart at most, as a share of its extent.
const STEP: f64 = 0.005;
/// Refinements of a curve.
const ROUNDS: usize = 6;
/// Parts into which one refinement cuts a segment, at most.
const PARTS: f64 = 8.;

/// The region of the latents of a model.
pub(crate) struct Region {
    middle: Vec<f64>,
    half: Vec<f64>,
    /// Whether it has no corners.
    round: bool,
    /// Number of charts; all have the same region.
    charts: usize,
}

impl Region {
    /// That of a model of at most two latents: all angles, or the reals but for so many percents beyond
    /// either end.
    pub(crate) fn of(of: Evaluated<'_>, tails: f64) -> Result<Self> {
        let signature = of.model.signature();
        let (n, charts) = (signature.manifold_dim, signature.charts);
        if signature.latent_domain == Domain::Angle {
            return Ok(Self { middle: vec![0.; n], half: vec![PI; n], round: false, charts });
        }
        let draws = of.model.sample_latent(DRAWS, &mut Stream::new(0, "region of latents"))?;
        let draws = of.by_rows(&draws, None, |u, _| Ok(u.clone()))?;
        let ends = |k: usize| {
            let column = draws.iter().skip(k).step_by(signature.latent_dim()).copied();
            percentiles(column, [tails, 100. - tails]).unwrap_or([0., 0.])
        };
        let ends: Vec<[f64; 2]> = (0..n).map(ends).collect();
        let middle = ends.iter().map(|[low, high]| (low + high) / 2.).collect();
        let half = ends.iter().map(|[low, high]| (high - low) / 2.).collect();
        // Normal latents have tails in all directions.
        Ok(Self { middle, half, round: true, charts })
    }

    /// Latents along the curve of each chart, `[n, 1]`, or with the number of the chart `[n, 2]`: see
    /// [`Self::curve`].
    pub(crate) fn curves(
        &self,
        points: usize,
        decode: impl Fn(&[f64]) -> Result<Vec<f64>>,
    ) -> Result<Vec<Vec<f64>>> {
        if self.charts == 1 {
            return Ok(vec![self.curve(points, decode)?]);
        }
        let of_chart = |chart: usize| {
            let numbered = |latents: &[f64]| -> Vec<f64> {
                latents.iter().flat_map(|&u| [u, chart as f64]).collect()
            };
            Ok(numbered(&self.curve(points, |latents| decode(&numbered(latents)))?))
        };
        (0..self.charts).map(of_chart).collect()
    }

    /// Latents along a curve, `[n, 1]`: `points` of them, and more between those that `decode` takes to points
    /// far apart, as a model has few latents where it puts few samples.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the number of parts is bounded from both sides"
    )]
    #[expect(
        clippy::indexing_slicing,
        clippy::integer_division_remainder_used,
        reason = "as many ends as coordinates, points with all of them, and one latent or more"
    )]
    fn curve(
        &self,
        points: usize,
        decode: impl Fn(&[f64]) -> Result<Vec<f64>>,
    ) -> Result<Vec<f64>> {
        let even = |i| self.middle[0] + self.half[0] * side(i, points);
        let mut latents: Vec<f64> = (0..points).map(even).collect();
        for _ in 0..ROUNDS {
            let x = decode(&latents)?;
            let x: Vec<&[f64]> = x.chunks_exact(x.len() / latents.len()).collect();
            let step = STEP * diagonal(&x);
            let mut finer = Vec::with_capacity(latents.len());
            for (u, x) in latents.windows(2).zip(x.windows(2)) {
                let parts = (diagonal(x) / step).max(1.).ceil().min(PARTS) as usize;
                finer.extend((0..parts).map(|k| u[0] + (u[1] - u[0]) * k as f64 / parts as f64));
            }
            finer.extend(latents.last());
            if finer.len() == latents.len() {
                break;
            }
            latents = finer;
        }
        Ok(latents)
    }

    /// `points²` latents, `[points², 2]`: a square, or a disc that is a deformed square,
    /// `(a, b) -> (a √(1 - b²/2), b √(1 - a²/2))`.
    #[expect(
        clippy::indexing_slicing,
        reason = "as many ends as coordinates, points with all of them, and one latent or more"
    )]
    pub(crate) fn grid(&self, points: usize) -> Vec<f64> {
        let mut grid = Vec::with_capacity(2 * points * points);
        for i in 0..points {
            for j in 0..points {
                let (a, b) = (side(i, points), side(j, points));
                let (p, q) = match self.round {
                    true => (a * (1. - b * b / 2.).sqrt(), b * (1. - a * a / 2.).sqrt()),
                    false => (a, b),
                };
                grid.push(self.middle[0] + self.half[0] * p);
                grid.push(self.middle[1] + self.half[1] * q);
            }
        }
        grid
    }
}

/// The length of the diagonal of the box around points.
#[expect(
    clippy::indexing_slicing,
    reason = "as many ends as coordinates, points with all of them, and one latent or more"
)]
fn diagonal(x: &[&[f64]]) -> f64 {
    let end = |k: usize, pick: fn(f64, f64) -> f64| x.iter().map(|x| x[k]).fold(f64::NAN, pick);
    let side = |k| end(k, f64::max) - end(k, f64::min);
    let columns = x.first().map_or(0, |x| x.len());
    (0..columns).map(|k| side(k) * side(k)).sum::<f64>().sqrt()
}

/// The i-th of so many points between -1 and 1.
fn side(i: usize, points: usize) -> f64 {
    2. * i as f64 / (points - 1) as f64 - 1.
}

#[cfg(test)]
mod tests {
    use super::{Region, STEP};
    use crate::Result;

    #[test]
    fn curves_are_fine_where_latents_are_few() {
        let region = Region { middle: vec![1.], half: vec![2.], round: false, charts: 1 };
        // Most of the way is between two latents; a jump cannot be refined away, and points may be missing.
        let decode = |latents: &[f64]| -> Result<Vec<f64>> {
            let point = |u: &f64| match u {
                u if *u < -0.9 => [f64::NAN, f64::NAN],
                u if *u < 2.5 => [(300. * (u - 1.7)).tanh(), 0.],
                _ => [1., 0.5],
            };
            Ok(latents.iter().flat_map(point).collect())
        };
        let latents = region.curve(50, decode).unwrap();
        assert_eq!((latents[0], latents.last()), (-1., Some(&3.)));
        assert!(latents.is_sorted() && latents.len() < 2000, "{}", latents.len());
        let points = decode(&latents).unwrap();
        let gaps = points.chunks(2).collect::<Vec<_>>();
        let gaps = gaps.windows(2).map(|x| (x[1][0] - x[0][0]).abs());
        let largest = gaps.fold(0., f64::max);
        assert!(largest < 1.001 * STEP * 2_f64.hypot(0.5), "{largest}");
    }
}
