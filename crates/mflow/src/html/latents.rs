//! Grids of base-space latents, over the region where those of a model fall.
use crate::Result;
use mflow_bijectors::Stream;
use mflow_eval::metrics::Evaluated;

/// Draws by which the region is found: of a normal density these reach about three deviations out.
const DRAWS: usize = 1000;

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
        let column = |k: usize| draws.iter().skip(k).step_by(n).copied();
        let low = (0..n).map(|k| column(k).fold(f64::INFINITY, f64::min));
        let high = (0..n).map(|k| column(k).fold(f64::NEG_INFINITY, f64::max));
        let ends: Vec<(f64, f64)> = low.zip(high).collect();
        let middle: Vec<f64> = ends.iter().map(|(low, high)| (low + high) / 2.).collect();
        let half: Vec<f64> = ends.iter().map(|(low, high)| (high - low) / 2.).collect();
        // Normal latents fill a disc, angles a square: its corners are as likely as its sides.
        let mut round = false;
        if let ([x, y], [a, b]) = (middle.as_slice(), half.as_slice()) {
            let corner_and_side = of.tensor(&[x + a, y + b, x + a, *y], n)?;
            let density = |u: &_, _: Option<&_>| of.model.latent_log_prob(u);
            let log_prob = of.by_rows(&corner_and_side, None, density)?;
            round = log_prob[0] < log_prob[1] - 1.;
        }
        Ok(Self { middle, half, round })
    }

    /// `points` latents along a line, `[points, 1]`.
    pub(super) fn line(&self, points: usize) -> Vec<f64> {
        (0..points).map(|i| self.middle[0] + self.half[0] * side(i, points)).collect()
    }

    /// `side * side` latents, `[side², 2]`: a square, or a disc that is a deformed square,
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
