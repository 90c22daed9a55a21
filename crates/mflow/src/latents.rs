//! Grids of base-space latents, over the region where those of a model fall.
use super::number::percentiles;
use crate::Result;
use mflow_bijectors::Stream;
use mflow_core::candle::Tensor;
use mflow_eval::metrics::Evaluated;

/// Draws by which the region is found.
const DRAWS: usize = 1000;
/// Percentiles of each latent between which a density with tails is drawn: further out the decoder has seen
/// next to no data.
const WITHOUT_TAILS: [f64; 2] = [0.5, 99.5];

/// The region of the latents of a model.
pub(super) struct Region {
    middle: Vec<f64>,
    half: Vec<f64>,
    /// Whether it has no corners.
    round: bool,
}

impl Region {
    /// That of a model of at most two latents.
    pub(super) fn of(of: Evaluated<'_>) -> Result<Self> {
        let n = of.model.signature().manifold_dim;
        let mut stream = Stream::new(0, "region of latents");
        let draws = of.model.sample_latent(DRAWS, &mut stream)?;
        let draws = of.by_rows(&draws, None, |u, _| Ok(u.clone()))?;
        let all = Self::between(&draws, n, [0., 100.]);
        // Normal latents have tails in all directions, angles are as likely at their ends as anywhere.
        let corner = all.middle.iter().zip(&all.half).map(|(middle, half)| middle + half);
        let both: Vec<f64> = all.middle.iter().copied().chain(corner).collect();
        let density = |u: &Tensor, _: Option<&Tensor>| of.model.latent_log_prob(u);
        let log_prob = of.by_rows(&of.tensor(&both, n)?, None, density)?;
        let tails = log_prob[1] < log_prob[0] - 1.;
        Ok(if tails {
            Self { round: true, ..Self::between(&draws, n, WITHOUT_TAILS) }
        } else {
            all
        })
    }

    fn between(draws: &[f64], n: usize, percents: [f64; 2]) -> Self {
        let ends = |k: usize| {
            let column = draws.iter().skip(k).step_by(n).copied();
            percentiles(column, percents).unwrap_or([0., 0.])
        };
        let ends: Vec<[f64; 2]> = (0..n).map(ends).collect();
        let middle = ends.iter().map(|[low, high]| (low + high) / 2.).collect();
        let half = ends.iter().map(|[low, high]| (high - low) / 2.).collect();
        Self { middle, half, round: false }
    }

    /// `points` latents along a line, `[points, 1]`.
    pub(super) fn line(&self, points: usize) -> Vec<f64> {
        (0..points).map(|i| self.middle[0] + self.half[0] * side(i, points)).collect()
    }

    /// `points²` latents, `[points², 2]`: a square, or a disc that is a deformed square,
    /// `(a, b) -> (a √(1 - b²/2), b √(1 - a²/2))`.
    pub(super) fn grid(&self, points: usize) -> Vec<f64> {
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
