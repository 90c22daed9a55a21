//! A mean with its standard error.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A mean over independent samples and how well it is known.
///
/// ```
/// let estimate = mflow_eval::Estimate::mean(&[1.0, 2.0, 3.0, 4.0])?;
/// assert_eq!(estimate.to_string(), "2.5 ± 0.6");
/// # Ok::<(), mflow_eval::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The sample mean, in the unit of the samples.
    pub value: f64,
    /// Standard error of the mean, `s / sqrt(count)` with `s² = Σ (x - mean)² / (count - 1)`, in
    /// the unit of the samples. `None` for one sample, whose spread cannot be known.
    pub standard_error: Option<f64>,
    /// Number of samples.
    pub count: usize,
}

impl Estimate {
    /// The mean of `samples` and its standard error.
    ///
    /// One pass with Welford's update, so that the spread of samples with a large common offset
    /// keeps its digits.
    ///
    /// # Errors
    ///
    /// [`Error::NoSamples`] for an empty slice, [`Error::NonFiniteSample`] for a sample that is NaN
    /// or infinite.
    pub fn mean(samples: &[f64]) -> Result<Self> {
        if samples.is_empty() {
            return Err(Error::NoSamples);
        }
        let count = samples.len();
        let mut mean = 0.0;
        let mut squares = 0.0;
        for (index, &value) in samples.iter().enumerate() {
            if !value.is_finite() {
                return Err(Error::NonFiniteSample { index, count, value });
            }
            let delta = value - mean;
            mean += delta / (index as f64 + 1.0);
            squares += delta * (value - mean);
        }
        let n = count as f64;
        let standard_error = (count > 1).then(|| (squares / (n - 1.0) / n).sqrt());
        Ok(Self { value: mean, standard_error, count })
    }
}

impl Estimate {
    /// The mean of `samples` that count by their `weights`, with its standard error over draws of both:
    ///
    /// ```text
    /// m = Σ w x/Σ w,    s² = n/(n - 1) Σ w² (x - m)²/(Σ w)²
    /// ```
    ///
    /// Equal weights give [`Estimate::mean`], to rounding. Weights may be negative.
    ///
    /// # Errors
    ///
    /// As [`Estimate::mean`]; [`Error::Weights`] for weights that are not as many as the samples, that are not finite, or
    /// whose sum is not positive.
    pub fn weighted_mean(samples: &[f64], weights: &[f64]) -> Result<Self> {
        let count = Self::mean(samples)?.count;
        let refuse =
            |expected: &str, found| Err(Error::Weights { expected: expected.to_owned(), found });
        if weights.len() != count {
            return refuse(&format!("{count}, one a sample"), weights.len().to_string());
        }
        if let Some((row, w)) = weights.iter().enumerate().find(|(_, w)| !w.is_finite()) {
            return refuse("finite numbers", format!("{w} of sample {row}"));
        }
        let largest = weights.iter().fold(f64::MIN_POSITIVE, |most, w| most.max(w.abs()));
        let pairs = || samples.iter().zip(weights.iter().map(|w| w / largest));
        let total: f64 = pairs().map(|(_, w)| w).sum();
        if total <= 0.0 {
            return refuse("a positive sum", (total * largest).to_string());
        }
        let value = pairs().map(|(x, w)| w * x).sum::<f64>() / total;
        let squares: f64 = pairs().map(|(x, w)| (w * (x - value)).powi(2)).sum();
        let n = count as f64;
        let standard_error = (count > 1).then(|| (squares * n / (n - 1.0)).sqrt() / total);
        Ok(Self { value, standard_error, count })
    }

    /// The median of `samples`; its standard error is that of normal samples,
    /// `1.2533 IQR / (1.349 sqrt(count))`, with the range between the quartiles.
    ///
    /// # Errors
    ///
    /// As [`Estimate::mean`].
    pub fn median(samples: &[f64]) -> Result<Self> {
        let range = Self::interquartile_range(samples)?;
        let count = range.count;
        let value = crate::statistics::median(&mut samples.to_vec());
        let standard_error =
            (count > 3).then(|| 1.2533 * range.value / (1.349 * (count as f64).sqrt()));
        Ok(Self { value, standard_error, count })
    }

    /// The range between the quartiles of `samples`, a measure of their spread; without an error.
    ///
    /// # Errors
    ///
    /// As [`Estimate::mean`].
    #[expect(clippy::indexing_slicing, reason = "there is a sample, as `mean` checks")]
    pub fn interquartile_range(samples: &[f64]) -> Result<Self> {
        let count = Self::mean(samples)?.count;
        let mut sorted = samples.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let value = sorted[(3 * count / 4).min(count - 1)] - sorted[count / 4];
        Ok(Self { value, standard_error: None, count })
    }
}

/// `0.0042 ± 0.0003`: the error with one significant digit (two where the first is 1, which one
/// digit would round by up to a half), the mean to the same place. Very small and very large
/// numbers share an exponent, `(4.2 ± 0.3)e-9`. One sample has no error: `0.5 (n = 1)`.
impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value;
        let Some(error) = self.standard_error else {
            // Six digits: nothing says how many of them mean something.
            let short = format!("{value:.5e}").parse().unwrap_or(value);
            return write!(f, "{short} (n = {})", self.count);
        };
        if error == 0.0 || !error.is_finite() {
            return write!(f, "{value} ± {error}");
        }
        let scale = exponent(value.abs().max(error));
        let shared = if (-4..6).contains(&scale) { 0 } else { scale };
        let digits = if leading_digit(error) == '1' { 2 } else { 1 };
        let places = usize::try_from(shared - exponent(error) + digits - 1).unwrap_or(0);
        if shared == 0 {
            write!(f, "{value:.places$} ± {error:.places$}")
        } else {
            // Two steps: 10^-shared alone overflows for numbers near the smallest.
            let half = 10f64.powi(shared / 2);
            let rest = 10f64.powi(shared - shared / 2);
            let (value, error) = (value / half / rest, error / half / rest);
            write!(f, "({value:.places$} ± {error:.places$})e{shared}")
        }
    }
}

/// `floor(log10(|x|))`, from the shortest decimal form: a logarithm is off by one near powers of
/// ten.
fn exponent(x: f64) -> i32 {
    format!("{x:e}").split_once('e').and_then(|(_, digits)| digits.parse().ok()).unwrap_or(0)
}

fn leading_digit(x: f64) -> char {
    format!("{x:e}").chars().next().unwrap_or('0')
}
