//! Whether samples of a model can be told from those of the truth.
use super::Evaluated;
use crate::statistics::{Sample, c2st, median_distance, squared_mmd};
use crate::{Estimate, Result};
use mflow_bijectors::Stream;

/// Rows of each sample that are compared at most: time grows with their square.
const MOST: usize = 2000;

/// Neighbours that vote.
const NEIGHBOURS: usize = 5;

/// Two samples compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoSamples {
    /// The accuracy of a classifier that tells one from the other: [`c2st`] of 5 neighbours. 0.5 if it cannot; the
    /// error is that of samples of one distribution.
    pub c2st: Estimate,
    /// Squared maximum mean discrepancy, the scale of its kernel the median distance of the truth.
    pub mmd: Estimate,
}

impl TwoSamples {
    /// Rows of each sample that are needed at least: one more than neighbours vote.
    pub const LEAST_ROWS: usize = NEIGHBOURS + 1;
}

/// Compare `x`, `[n, D]`, which the simulator drew at the parameters `theta`, `[P]`, with as many samples of the
/// model there; the first 2000 rows of each.
///
/// # Errors
/// If the model cannot be sampled, or there are less than 6 rows.
#[expect(clippy::indexing_slicing, reason = "not more than there are rows")]
pub fn two_samples(
    of: Evaluated<'_>,
    x: &[f64],
    theta: &[f64],
    stream: &mut Stream,
) -> Result<TwoSamples> {
    let dim = of.model.signature().data_dim;
    let truth = Sample::new(x, dim)?;
    let n = truth.count().min(MOST);
    let truth = Sample::new(&x[..n * dim], dim)?;
    let context = of.context(&theta.repeat(n))?;
    let drawn = of.model.sample(n, context.as_ref(), stream)?;
    let drawn = of.by_rows(&drawn, None, |x, _| Ok(x.clone()))?;
    let drawn = Sample::new(&drawn, dim)?;
    let test = c2st(drawn, truth, NEIGHBOURS)?;
    let mmd = squared_mmd(drawn, truth, median_distance(truth)?)?;
    Ok(TwoSamples {
        c2st: Estimate { value: test.accuracy, standard_error: Some(test.deviation), count: 2 * n },
        mmd: Estimate { value: mmd, standard_error: None, count: n },
    })
}
