//! Lines and grids of base-space latents, over the region where those of a model fall.
use crate::Result;
use crate::percentiles::percentiles;
use mflow_bijectors::{Domain, Stream};
use mflow_eval::metrics::Evaluated;
use std::f64::consts::PI;

/// Draws by which the region is found.
const DRAWS: usize = 10_000;

/// The region of the latents of a model.
pub(crate) struct Region {
    middle: Vec<f64>,
    half: Vec<f64>,
    /// Whether it has no corners.
    round: bool,
}

impl Region {
    /// That of a model of at most two latents: all angles, or the reals but for so many percents beyond
    /// either end.
    pub(crate) fn of(of: Evaluated<'_>, tails: f64) -> Result<Self> {
        let signature = of.model.signature();
        let n = signature.manifold_dim;
        if signature.latent_domain == Domain::Angle {
            return Ok(Self { middle: vec![0.; n], half: vec![PI; n], round: false });
        }
        let draws = of.model.sample_latent(DRAWS, &mut Stream::new(0, "region of latents"))?;
        let draws = of.by_rows(&draws, None, |u, _| Ok(u.clone()))?;
        let ends = |k: usize| {
            let column = draws.iter().skip(k).step_by(n).copied();
            percentiles(column, [tails, 100. - tails]).unwrap_or([0., 0.])
        };
        let ends: Vec<[f64; 2]> = (0..n).map(ends).collect();
        let middle = ends.iter().map(|[low, high]| (low + high) / 2.).collect();
        let half = ends.iter().map(|[low, high]| (high - low) / 2.).collect();
        // Normal latents have tails in all directions.
        Ok(Self { middle, half, round: true })
    }

    /// `points` latents along a line, `[points, 1]`.
    pub(crate) fn line(&self, points: usize) -> Vec<f64> {
        (0..points).map(|i| self.middle[0] + self.half[0] * side(i, points)).collect()
    }

    /// `points²` latents, `[points², 2]`: a square, or a disc that is a deformed square,
    /// `(a, b) -> (a √(1 - b²/2), b √(1 - a²/2))`.
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

/// The i-th of so many points between -1 and 1.
fn side(i: usize, points: usize) -> f64 {
    2. * i as f64 / (points - 1) as f64 - 1.
}
