//! How far one sample lies within another and covers it, by neighbours: precision and recall of Kynkäänniemi et al.
//! (2019), arXiv:1904.06991; density and coverage of Naeem et al. (2020), arXiv:2002.09797.
use super::neighbours::{TILE, nearest, square_below};
use super::sample::Sample;
use crate::{Estimate, Result};

/// A generated sample against a real one. Around each row is a ball that reaches to its `k`-th nearest neighbour in
/// its own sample; what lies on its surface is in it.
///
/// The errors are those of drawing the rows that are counted, with the balls as they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coverage {
    /// The share of generated rows that are in the ball of any real row: are they like the data?
    pub precision: Estimate,
    /// The share of real rows that are in the ball of any generated row: is all of the data generated? One generated
    /// row far away has a large ball and raises it; `coverage` does not do that.
    pub recall: Estimate,
    /// How many balls of real rows a generated row is in on average, over `k`: 1 of equal distributions, and more
    /// where the generated rows lie only where the real ones are dense.
    pub density: Estimate,
    /// The share of real rows whose own ball has any generated row. Of samples of equal distribution and size it is
    /// about `1 - 1/2ᵏ`.
    pub coverage: Estimate,
}

/// Compares `generated` rows with `real` ones. `k` is 3 in the paper on precision and recall, 5 in that on density and
/// coverage. All distances are computed, so time grows with the product of the sizes.
///
/// # Errors
/// If the samples have other columns, `k` is 0, there are not more than `k` rows in each, or values of more than
/// 1e150.
#[expect(clippy::indexing_slicing, reason = "a radius for each row of its sample")]
pub fn coverage(real: Sample<'_>, generated: Sample<'_>, k: usize) -> Result<Coverage> {
    real.comparable(&generated, k.saturating_add(1))?;
    let radii = |x| -> Result<Vec<f64>> {
        Ok(nearest(x, k)?.iter().filter_map(|near| near.last()).map(|last| last.0).collect())
    };
    let (real_radii, radii) = (radii(real)?, radii(generated)?);
    let mut is_covered = vec![false; real.count()]; // by any ball of a generated row
    let mut has_any = vec![false; real.count()]; // in its own ball
    let mut balls = vec![0_usize; generated.count()]; // of real rows, around each generated one
    let all: Vec<usize> = (0..generated.count()).collect();
    for tile in all.chunks(TILE) {
        for (i, row) in real.rows().enumerate() {
            for &j in tile {
                let reach = real_radii[i].max(radii[j]).next_up();
                let Some(square) = square_below(row, generated.row(j), reach) else { continue };
                is_covered[i] |= square <= radii[j];
                if square <= real_radii[i] {
                    has_any[i] = true;
                    balls[j] += 1;
                }
            }
        }
    }
    let share =
        |of: &[bool]| Estimate::mean(&of.iter().map(|is| f64::from(*is)).collect::<Vec<_>>());
    let density: Vec<f64> = balls.iter().map(|n| *n as f64 / k as f64).collect();
    Ok(Coverage {
        precision: share(&balls.iter().map(|n| *n > 0).collect::<Vec<_>>())?,
        recall: share(&is_covered)?,
        density: Estimate::mean(&density)?,
        coverage: share(&has_any)?,
    })
}
