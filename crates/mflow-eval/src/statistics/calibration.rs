//! Simulation-based calibration: Talts et al. (2018), arXiv:1804.06788. If parameters are drawn from the prior
//! and data given them, the rank of a true parameter among draws of its posterior is uniform.
use crate::{Error, Result};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// The number of draws below the truth: 0 to `draws.len()`.
///
/// # Errors
/// If there are no draws, or a number is NaN.
pub fn rank(draws: &[f64], truth: f64) -> Result<usize> {
    if draws.is_empty() {
        return Err(Error::NoSamples);
    }
    let all = draws.iter().chain([&truth]);
    if let Some(index) = all.clone().position(|v| v.is_nan()) {
        return Err(Error::NonFiniteSample { index, count: draws.len(), value: f64::NAN });
    }
    Ok(draws.iter().filter(|draw| **draw < truth).count())
}

/// How uniform ranks are.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Ranks in each of equal bins.
    pub histogram: Vec<usize>,
    /// Pearson's statistic of uniformity.
    pub chi_squared: f64,
    /// The probability of one as large, if ranks are uniform.
    pub p_value: f64,
}

impl Calibration {
    /// Of ranks from 0 to `draws`, in `bins` bins.
    ///
    /// # Errors
    /// If there are no ranks, one is larger than `draws`, or `bins` is below 2 or does not divide
    /// `draws + 1`, so that bins are not equal.
    #[expect(
        clippy::integer_division_remainder_used,
        reason = "bins are 2 or more and divide the number of ranks, so that a bin has one"
    )]
    pub fn new(ranks: &[usize], draws: usize, bins: usize) -> Result<Self> {
        if ranks.is_empty() {
            return Err(Error::NoSamples);
        }
        let possible = draws.saturating_add(1);
        if bins < 2 || !possible.is_multiple_of(bins) {
            return Err(Error::Bins { bins, ranks: possible });
        }
        let width = possible / bins;
        let mut histogram = vec![0; bins];
        for &rank in ranks {
            match histogram.get_mut(rank / width) {
                Some(count) => *count += 1,
                None => return Err(Error::Rank { found: rank, draws }),
            }
        }
        let expected = ranks.len() as f64 / bins as f64;
        let chi_squared = histogram.iter().map(|&n| (n as f64 - expected).powi(2) / expected).sum();
        let p_value = ChiSquared::new(bins as f64 - 1.).map_or(f64::NAN, |d| d.sf(chi_squared));
        Ok(Self { histogram, chi_squared, p_value })
    }
}

/// The share of ranks (from 0 to `draws`) whose truth lies in the central interval of this probability.
///
/// # Errors
/// If there are no ranks.
pub fn central_coverage(ranks: &[usize], draws: usize, probability: f64) -> Result<f64> {
    if ranks.is_empty() {
        return Err(Error::NoSamples);
    }
    let inside = |rank: &&usize| {
        // The middle of the rank's step in (0, 1).
        let quantile = (**rank as f64 + 0.5) / (draws as f64 + 1.);
        (quantile - 0.5).abs() <= 0.5 * probability
    };
    Ok(ranks.iter().filter(inside).count() as f64 / ranks.len() as f64)
}
