//! A density of one parameter from a table.
#![expect(
    clippy::indexing_slicing,
    reason = "a table has two points or more, and an interval less"
)]
use super::chains::Target;
use crate::{Error, Result};
use mflow_data::Prior;
use rand::{Rng, RngExt};

/// The log-density of one parameter, evaluated once on an equidistant grid between its bounds and straight
/// lines between: of a likelihood that costs milliseconds a chain of thousands of steps then costs no
/// more than the grid.
///
/// Between grid points a distance `s` apart the lines are off by at most `s²/8` of the second derivative:
/// with 1000 of them on (-1, 1), by 1e-4 nats where the density is as narrow as 0.07.
#[derive(Clone, Debug, PartialEq)]
pub struct Tabulated {
    low: f64,
    high: f64,
    log_probs: Vec<f64>,
}

impl Tabulated {
    /// Of `target` at `points` points over the [range](Prior::range) of its prior, both ends included.
    ///
    /// # Errors
    /// [`Error::Rows`] for a target of several parameters, [`Error::Table`] for less than 2 points or bounds
    /// that are none, and those of the target.
    pub fn new(target: &dyn Target, prior: &Prior, points: usize) -> Result<Self> {
        let [low, high] = prior.range();
        if target.dim() != 1 {
            return Err(Error::Rows { cols: 1, found: target.dim() });
        }
        if points < 2 || !(low < high && low.is_finite() && high.is_finite()) {
            return Err(Error::Table { low, high, points });
        }
        let share = |i: usize| i as f64 / (points - 1) as f64;
        // Both ends as they are: rounding must not put them outside of the support.
        let grid: Vec<f64> = (0..points).map(|i| low + (high - low) * share(i)).collect();
        let inside: Vec<f64> = grid.into_iter().map(|theta| theta.clamp(low, high)).collect();
        Ok(Self { low, high, log_probs: target.log_probs(&inside)? })
    }

    /// The points of the table with the density there, whose integral over the lines between is 1.
    ///
    /// # Errors
    /// If a value of the table is NaN or positive infinity, or all are negative infinity.
    pub fn density(&self) -> Result<Vec<(f64, f64)>> {
        let highest = self.largest()?;
        let intervals = self.log_probs.len() - 1;
        let step = (self.high - self.low) / intervals as f64;
        let raw: Vec<f64> = self.log_probs.iter().map(|log| (log - highest).exp()).collect();
        let total: f64 = raw.windows(2).map(|w| step * w[0].midpoint(w[1])).sum();
        let at = |i: usize| self.low + step * i as f64;
        Ok(raw.into_iter().enumerate().map(|(i, raw)| (at(i), raw / total)).collect())
    }
}

impl Tabulated {
    /// `n` independent draws from the density that the table has, by inverting its distribution function: between
    /// grid points the density is an exponential function.
    ///
    /// # Errors
    /// [`Error::Density`] where the table has a value that is NaN or positive infinity, or nothing but zeros.
    pub fn sample(&self, n: usize, rng: &mut dyn Rng) -> Result<Vec<f64>> {
        let largest = self.largest()?;
        let pairs = || self.log_probs.windows(2).map(|pair| [pair[0] - largest, pair[1] - largest]);
        let mut total = 0.;
        let masses = pairs().map(|[a, b]| {
            total += mass(a, b);
            total
        });
        let masses: Vec<f64> = masses.collect();
        let intervals = masses.len();
        let width = (self.high - self.low) / intervals as f64;
        let pairs: Vec<[f64; 2]> = pairs().collect();
        let one = |_| {
            let level = total * rng.random::<f64>();
            // The first interval that reaches beyond the level has some mass itself.
            let i = masses.partition_point(|reached| *reached <= level).min(intervals - 1);
            let below = if i == 0 { 0. } else { masses[i - 1] };
            let [a, b] = pairs[i];
            let share = inverse(a, b, ((level - below) / mass(a, b)).clamp(0., 1.));
            (self.low + width * (i as f64 + share)).clamp(self.low, self.high)
        };
        Ok((0..n).map(one).collect())
    }

    /// The largest of the table.
    fn largest(&self) -> Result<f64> {
        let at = |i: usize| i as f64 / (self.log_probs.len() - 1) as f64;
        largest(&self.log_probs, |i| vec![self.low + (self.high - self.low) * at(i)])
    }
}

/// The largest log-density of a table, whose entry `i` is at `theta(i)`: an error unless it is a finite number
/// and the others are such or negative infinity.
pub(super) fn largest(log_probs: &[f64], theta: impl Fn(usize) -> Vec<f64>) -> Result<f64> {
    let largest = log_probs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let is_wrong = |v: &f64| v.is_nan() || *v == f64::INFINITY || largest == f64::NEG_INFINITY;
    let Some(i) = log_probs.iter().position(is_wrong) else { return Ok(largest) };
    Err(Error::Density {
        what: "a table's log-density",
        theta: theta(i),
        expected: "a finite number, or negative infinity but not everywhere",
        found: log_probs[i],
    })
}

/// The integral from 0 to 1 of `exp(a + (b - a) t)`: zero where an end is negative infinity, as the line
/// between is.
fn mass(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        return 0.;
    }
    // From the larger end, so that nothing overflows.
    let (top, fall) = (a.max(b), (a - b).abs());
    top.exp() * if fall == 0. { 1. } else { -(-fall).exp_m1() / fall }
}

/// Where that integral has reached the share `u` of itself.
fn inverse(a: f64, b: f64, u: f64) -> f64 {
    let fall = (a - b).abs();
    // From the larger end.
    let share = if a >= b { u } else { 1. - u };
    let place = if fall == 0. { share } else { -(share * (-fall).exp_m1()).ln_1p() / fall };
    if a >= b { place } else { 1. - place }
}

impl Target for Tabulated {
    fn dim(&self) -> usize {
        1
    }

    #[expect(clippy::cast_possible_truncation, reason = "the place is within the table")]
    fn log_prob(&self, theta: &[f64]) -> Result<f64> {
        let &[theta] = theta else { return Err(Error::Rows { cols: 1, found: theta.len() }) };
        if !(self.low..=self.high).contains(&theta) {
            return Ok(f64::NEG_INFINITY);
        }
        let intervals = self.log_probs.len() - 1;
        let place = (theta - self.low) / (self.high - self.low) * intervals as f64;
        let left = (place as usize).min(intervals - 1);
        let share = place - left as f64;
        let [a, b] = [self.log_probs[left], self.log_probs[left + 1]];
        // At a point of the table an infinite value beside it does not count.
        Ok(match share {
            0. => a,
            1. => b,
            share => (1. - share) * a + share * b,
        })
    }
}
