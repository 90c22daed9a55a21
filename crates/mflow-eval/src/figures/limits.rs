//! The box that all panels of a figure share.
#![expect(clippy::indexing_slicing, reason = "axes of three dimensions, 0 to 2")]

use crate::{Error, Result};

/// Lowest and highest coordinate along each of three axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Lowest coordinates.
    pub low: [f64; 3],
    /// Highest coordinates.
    pub high: [f64; 3],
}

impl Limits {
    /// Whether `point` is inside, bounds included; never where a coordinate is NaN.
    #[must_use]
    pub fn contains(&self, point: [f64; 3]) -> bool {
        (0..3).all(|k| self.low[k] <= point[k] && point[k] <= self.high[k])
    }

    /// Refuses limits that are not finite or the wrong way round.
    pub(super) fn check(&self) -> Result<()> {
        for k in 0..3 {
            let found = self.high[k] - self.low[k];
            if !(found.is_finite() && found > 0.0) {
                let expected = "finite limits with high - low > 0 for each axis";
                return Err(Error::Style { what: "limits", expected, found });
            }
        }
        Ok(())
    }

    /// The smallest box around `points`, with a margin of 3 % of its longest side.
    pub(super) fn around(points: impl IntoIterator<Item = [f64; 3]>) -> Self {
        let mut low = [f64::INFINITY; 3];
        let mut high = [f64::NEG_INFINITY; 3];
        for point in points {
            for k in 0..3 {
                low[k] = low[k].min(point[k]);
                high[k] = high[k].max(point[k]);
            }
        }
        let longest = Self { low, high }.longest();
        let margin = if longest > 0.0 { 0.03 * longest } else { 0.5 };
        Self { low: low.map(|x| x - margin), high: high.map(|x| x + margin) }
    }

    /// The middle of the box.
    pub(super) fn center(&self) -> [f64; 3] {
        [0, 1, 2].map(|k| 0.5 * (self.low[k] + self.high[k]))
    }

    /// Length of the longest side.
    pub(super) fn longest(&self) -> f64 {
        (0..3).map(|k| self.high[k] - self.low[k]).fold(0.0, f64::max)
    }

    /// Length of the box's diagonal.
    pub(super) fn diagonal(&self) -> f64 {
        (0..3).map(|k| (self.high[k] - self.low[k]).powi(2)).sum::<f64>().sqrt()
    }

    /// The corner that has the high coordinate along the axes where `high` is true.
    pub(super) fn corner(&self, high: [bool; 3]) -> [f64; 3] {
        [0, 1, 2].map(|k| if high[k] { self.high[k] } else { self.low[k] })
    }

    /// All eight corners.
    pub(super) fn corners(&self) -> [[f64; 3]; 8] {
        [0, 1, 2, 3, 4, 5, 6, 7].map(|c| self.corner([c & 1 != 0, c & 2 != 0, c & 4 != 0]))
    }
}
