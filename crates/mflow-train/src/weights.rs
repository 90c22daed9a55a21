//! Weights of rows: what each row counts in losses, in the choice of weights of a model, and in statistics of the data.
use crate::loss::Loss;
use crate::schedule::{Phase, Stage, TrainConfig};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use mflow_bijectors::host;
use std::sync::Arc;

/// How many rows of equal weights know a mean as well as these rows do, `(Σ w)²/Σ w²` (Kish 1965, *Survey Sampling*).
///
/// Equal weights give the number of rows, one weight that outweighs all others gives 1. Negative weights lower it further.
/// Only ratios of the weights matter. Without a weight other than 0 it is 0.
///
/// ```
/// # use mflow_train::effective_sample_size;
/// assert_eq!(effective_sample_size(&[0.5; 8]), 8.);
/// assert_eq!(effective_sample_size(&[2., 0., 2., 0.]), 2.);
/// assert_eq!(effective_sample_size(&[3., 3., 3., -3.]), 1.);
/// ```
#[must_use]
pub fn effective_sample_size(weights: &[f64]) -> f64 {
    // In units of the largest, so that squares neither overflow nor vanish.
    let largest = weights.iter().fold(f64::MIN_POSITIVE, |most, w| most.max(w.abs()));
    let of = |(sum, squares): (f64, f64), w: &f64| {
        let w = w / largest;
        (sum + w, squares + w * w)
    };
    let (sum, squares) = weights.iter().fold((0., 0.), of);
    if squares == 0. { 0. } else { sum * sum / squares }
}

/// What the weight of a row does in a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weighing {
    /// It counts with its sign: the loss is an expectation under the density that the weights describe.
    Signed,
    /// Its size counts: the loss says where the manifold lies, and a row with a negative weight lies on it too.
    Size,
    /// It must not be negative.
    NonNegative,
}

/// The total weight of rows, by which a sum over them is divided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mass {
    /// `Σ w`.
    sum: f64,
    /// `Σ |w|`.
    size: f64,
}

impl Mass {
    /// Of some rows; without weights each counts 1.
    #[expect(clippy::indexing_slicing, reason = "a weight for each row of the source")]
    pub(crate) fn of(weights: Option<&[f64]>, rows: impl ExactSizeIterator<Item = usize>) -> Self {
        let Some(weights) = weights else {
            let rows = rows.len() as f64;
            return Self { sum: rows, size: rows };
        };
        let add = |Self { sum, size }: Self, row: usize| {
            let w = weights[row];
            Self { sum: sum + w, size: size + w.abs() }
        };
        rows.fold(Self { sum: 0., size: 0. }, add)
    }
    /// That of so many rows like this one.
    pub(crate) fn times(self, rows: usize) -> Self {
        Self { sum: self.sum * rows as f64, size: self.size * rows as f64 }
    }
    /// That of one of so many rows, on average.
    pub(crate) fn divided_by(self, rows: usize) -> Self {
        Self { sum: self.sum / rows as f64, size: self.size / rows as f64 }
    }
    /// What the sum of a loss is divided by.
    pub(crate) fn for_loss(self, weighing: Weighing) -> f64 {
        match weighing {
            Weighing::Signed | Weighing::NonNegative => self.sum,
            Weighing::Size => self.size,
        }
    }
    /// `Σ |w|`.
    pub(crate) fn size(self) -> f64 {
        self.size
    }
    /// Refuse rows that no mean can be taken over.
    pub(crate) fn check(self, what: &'static str, weighing: Weighing) -> Result<()> {
        let total = self.for_loss(weighing);
        if total > 0. {
            return Ok(());
        }
        let found = format!("{total}; another seed or a larger share of the rows may help");
        Err(Error::Data { what, expected: "a positive sum".to_owned(), found })
    }
}

/// The sum over rows of `values`, `[B]` or `[B, K]`, each times the weight of its row. Without weights a plain sum.
pub(crate) fn weighted_sum(
    values: &Tensor,
    weights: Option<&Tensor>,
    weighing: Weighing,
) -> Result<Tensor> {
    let Some(weights) = weights else { return Ok(values.sum_all()?) };
    let weights = match weighing {
        Weighing::Size => weights.abs()?,
        Weighing::Signed | Weighing::NonNegative => weights.clone(),
    };
    let weights = if values.rank() > 1 { weights.unsqueeze(1)? } else { weights };
    Ok(values.broadcast_mul(&weights)?.sum_all()?)
}

/// Weights of all rows of a data set.
#[derive(Clone, Debug)]
pub(crate) struct RowWeights(Arc<[f64]>);

impl RowWeights {
    /// In units of the mean of their sizes: only ratios count, and single precision can hold these.
    pub(crate) fn new(values: &[f64], rows: usize) -> Result<Self> {
        check(values, rows)?;
        let mean = values.iter().map(|w| w.abs()).sum::<f64>() / rows as f64;
        Ok(Self(values.iter().map(|w| w / mean).collect()))
    }
    /// Those of rows that are at hand, as they are.
    pub(crate) fn of(weights: &Tensor) -> Result<Self> {
        Ok(Self(host::values_f64(weights)?.into()))
    }
    pub(crate) fn values(&self) -> &[f64] {
        &self.0
    }
    /// Those of the listed rows, `[B]`.
    #[expect(clippy::indexing_slicing, reason = "a weight for each row of the source")]
    pub(crate) fn tensor(
        &self,
        rows: impl ExactSizeIterator<Item = usize>,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let count = rows.len();
        let t = Tensor::from_vec(rows.map(|row| self.0[row]).collect(), count, &Device::Cpu)?;
        Ok(host::place(&t, dtype, device)?)
    }
}

/// Refuse weights that are not as many as rows, not finite, or whose sum is not positive.
fn check(weights: &[f64], rows: usize) -> Result<()> {
    let refuse = |expected: String, found| Err(Error::Data { what: "weights", expected, found });
    if weights.len() != rows {
        return refuse(format!("{rows} values, one a row"), weights.len().to_string());
    }
    if let Some((row, w)) = weights.iter().enumerate().find(|(_, w)| !w.is_finite()) {
        return refuse("finite numbers".to_owned(), format!("{w} in row {row}"));
    }
    let size: f64 = weights.iter().map(|w| w.abs()).sum();
    if size == 0. && rows > 0 {
        return refuse("one that is not 0, at least".to_owned(), "0 in every row".to_owned());
    }
    let sum: f64 = weights.iter().sum();
    if !(sum > 0. && size.is_finite()) && rows > 0 {
        return refuse("a positive and finite sum".to_owned(), sum.to_string());
    }
    Ok(())
}

/// Rows drawn in proportion to their `sizes` by systematic resampling: at even distances along the line on which each row
/// takes up as much as its size. So many that the smallest size is drawn once, but `most` at the most: integer sizes give each
/// row so many times if 1 is among them. None if all are equal, and nothing is to be drawn.
#[expect(clippy::indexing_slicing, reason = "a weight for each row of the source")]
pub(crate) fn systematic(sizes: &[f64], most: usize) -> Option<Vec<usize>> {
    let positive = sizes.iter().copied().filter(|s| *s > 0.);
    let (least, total) =
        (positive.clone().fold(f64::INFINITY, f64::min), sizes.iter().sum::<f64>());
    if sizes.iter().all(|s| *s == least) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 1..=most")]
    let draws = (total / least).round().min(most as f64) as usize;
    let step = total / draws as f64;
    let (mut row, mut end) = (0, *sizes.first()?);
    let draw = |i: usize| {
        // In the middle of each step, so that rounding does not tell.
        let at = (i as f64 + 0.5) * step;
        while at >= end && row + 1 < sizes.len() {
            row += 1;
            end += sizes[row];
        }
        row
    };
    Some((0..draws).map(draw).collect())
}

impl TrainConfig {
    /// Whether rows may have negative weights: whether no loss of the phases refuses them. Of a config whose schedule is
    /// written out ([`TrainConfig::resolve`]). See [`Loss`] for what weights do in which loss.
    pub fn allows_negative_weights(&self) -> bool {
        self.refuses_negative_weights().is_none()
    }

    /// Check that these weights, one for each row, make sense in all losses of the phases. [`crate::Trainer`] asks the same
    /// before its first update; a program may want to know before it reads on.
    ///
    /// # Errors
    /// If a weight is not finite, the sum is not positive, or a weight is negative and a loss refuses that; with the row
    /// (counted from 0), the weight, the loss and its phase.
    pub fn check_weights(&self, weights: &[f64]) -> Result<()> {
        self.check_weights_in(weights, weights.len(), "")
    }

    /// The same of weights in `unit`, for messages, of so many rows.
    pub(crate) fn check_weights_in(&self, weights: &[f64], rows: usize, unit: &str) -> Result<()> {
        check(weights, rows)?;
        let Some((phase, loss)) = self.refuses_negative_weights() else { return Ok(()) };
        match weights.iter().enumerate().find(|(_, w)| **w < 0.) {
            None => Ok(()),
            Some((row, w)) => {
                let (loss, phase) = (loss.name(), &phase.name);
                let expected =
                    format!("none below 0, for the loss `{loss}` of the phase `{phase}`");
                Err(Error::Data {
                    what: "weights",
                    expected,
                    found: format!("{w}{unit} in row {row}"),
                })
            }
        }
    }

    /// The first loss that refuses negative weights, and its phase.
    fn refuses_negative_weights(&self) -> Option<(&Phase, &Loss)> {
        let phases = self.phases.iter().flat_map(Stage::phases);
        let losses = phases.flat_map(|p| p.losses.iter().map(move |w| (p, &w.loss)));
        losses.into_iter().find(|(_, loss)| loss.weighing() == Weighing::NonNegative)
    }
}

#[cfg(test)]
mod tests {
    //! Oracle: counting.
    use super::*;

    #[test]
    fn integer_sizes_are_drawn_as_often_as_they_say() {
        // In whatever unit, so that sums are rounded.
        for unit in [1., 0.1, 1. / 3., 1e-200] {
            let of = |sizes: &[f64], most| {
                systematic(&sizes.iter().map(|s| s * unit).collect::<Vec<_>>(), most)
            };
            assert_eq!(of(&[2., 0., 1., 3.], 100).unwrap(), [0, 0, 2, 3, 3, 3], "all of them");
            assert_eq!(of(&[0., 4., 4., 8., 0.], 4).unwrap(), [1, 2, 3, 3], "a quarter");
            assert_eq!(of(&[0., 5., 0.], 100).unwrap(), [1], "one row alone");
            assert_eq!(of(&[5.; 7], 100), None, "equal ones");
        }
        // Each row within one draw of its share.
        let sizes: Vec<f64> = (1..=50).map(|i| (f64::from(i) * 0.37).sin().abs()).collect();
        let drawn = systematic(&sizes, 1000).unwrap();
        assert_eq!(drawn.len(), 1000, "at most so many");
        let total: f64 = sizes.iter().sum();
        for (row, size) in sizes.iter().enumerate() {
            let count = drawn.iter().filter(|r| **r == row).count() as f64;
            assert!((count - 1000. * size / total).abs() < 1., "row {row}: {count}");
        }
    }
}
