//! Slice sampling: Neal (2003), "Slice sampling", The Annals of Statistics 31.
use super::chains::{Kernel, Target};
use crate::{Error, Result};
use mflow_bijectors::Stream;
use rand::RngExt;

/// One parameter after the other is drawn uniformly from a slice of the density, found by stepping out and
/// shrinking (Neal's figures 3 and 5). Nothing has to be tuned: a wrong width costs evaluations only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slice {
    /// A guess at the width of the density.
    pub width: f64,
}

/// Most steps out to both sides together; slices are then wider than any that is of use.
const STEPS_OUT: u32 = 100;

impl Kernel for Slice {
    #[expect(clippy::indexing_slicing, reason = "counted by the parameters")]
    fn step(
        &self,
        target: &dyn Target,
        theta: &mut [f64],
        mut log_prob: f64,
        stream: &mut Stream,
    ) -> Result<(f64, bool)> {
        if !(self.width > 0. && self.width.is_finite()) {
            return Err(Error::Scale { found: self.width });
        }
        for k in 0..theta.len() {
            let here = theta[k];
            let level = log_prob + stream.random::<f64>().ln();
            let at = |value: f64| {
                let mut moved = theta.to_vec();
                moved[k] = value;
                target.log_prob(&moved)
            };
            let mut low = here - self.width * stream.random::<f64>();
            let mut high = low + self.width;
            let left = stream.random_range(0..=STEPS_OUT);
            for _ in 0..left {
                if at(low)? <= level {
                    break;
                }
                low -= self.width;
            }
            for _ in left..STEPS_OUT {
                if at(high)? <= level {
                    break;
                }
                high += self.width;
            }
            loop {
                let value = low + (high - low) * stream.random::<f64>();
                let there = at(value)?;
                // At the present point, which shrinking ends at, the density is above the level.
                if there > level || value == here {
                    theta[k] = value;
                    log_prob = if value == here { log_prob } else { there };
                    break;
                }
                // Where a slice is wider than numbers go, nothing shrinks.
                if !value.is_finite() {
                    break;
                }
                if value < here { low = value } else { high = value }
            }
        }
        Ok((log_prob, true))
    }
}
