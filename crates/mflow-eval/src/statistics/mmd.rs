//! The maximum mean discrepancy with a Gaussian kernel: Gretton et al. (2012), "A kernel two-sample
//! test", Journal of Machine Learning Research 13.
use super::sample::{Sample, median, squared_distance};
use crate::{Error, Result};

/// `k(a, b) = exp(-|a - b|^2 / (2 scale^2))`
fn kernel(a: &[f64], b: &[f64], scale: f64) -> f64 {
    (-0.5 * squared_distance(a, b) / (scale * scale)).exp()
}

fn check(x: &Sample<'_>, y: &Sample<'_>, scale: f64) -> Result<()> {
    if !(scale > 0. && scale.is_finite()) {
        return Err(Error::Scale { found: scale });
    }
    x.comparable(y, 2)
}

/// The unbiased estimate of the squared discrepancy (their equation 3): negative where samples are more
/// alike than independent ones are on average.
///
/// ```text
/// mean over i != j of k(x_i, x_j) + mean over i != j of k(y_i, y_j) - 2 mean of k(x_i, y_j)
/// ```
///
/// Time grows with the product of the sizes.
///
/// # Errors
/// If the samples have other columns or less than two rows, or the scale is not positive.
pub fn squared_mmd(x: Sample<'_>, y: Sample<'_>, scale: f64) -> Result<f64> {
    check(&x, &y, scale)?;
    let within = |s: Sample<'_>| -> f64 {
        let n = s.count() as f64;
        let pairs = s.rows().enumerate();
        let sum: f64 =
            pairs.map(|(i, a)| s.rows().take(i).map(|b| kernel(a, b, scale)).sum::<f64>()).sum();
        2. * sum / (n * (n - 1.))
    };
    let sum: f64 = x.rows().map(|a| y.rows().map(|b| kernel(a, b, scale)).sum::<f64>()).sum();
    let between = sum / (x.count() as f64 * y.count() as f64);
    Ok(within(x) + within(y) - 2. * between)
}

/// The unbiased estimate whose time grows with the size (their section 6): a mean over pairs of
/// neighbouring rows of the first `min(n, m)`, less certain than [`squared_mmd`].
///
/// # Errors
/// As [`squared_mmd`].
pub fn linear_time_mmd(x: Sample<'_>, y: Sample<'_>, scale: f64) -> Result<f64> {
    check(&x, &y, scale)?;
    let pairs = x.count().min(y.count()) / 2;
    let of_pair = |i: usize| {
        let (a, b, c, d) = (x.row(2 * i), x.row(2 * i + 1), y.row(2 * i), y.row(2 * i + 1));
        kernel(a, b, scale) + kernel(c, d, scale) - kernel(a, d, scale) - kernel(b, c, scale)
    };
    Ok((0..pairs).map(of_pair).sum::<f64>() / pairs as f64)
}

/// The median Euclidean distance of different rows: the common choice of the kernel's scale.
///
/// # Errors
/// If there are less than two rows.
pub fn median_distance(x: Sample<'_>) -> Result<f64> {
    x.at_least(2)?;
    let mut all: Vec<f64> = x
        .rows()
        .enumerate()
        .flat_map(|(i, a)| x.rows().take(i).map(move |b| squared_distance(a, b).sqrt()))
        .collect();
    Ok(median(&mut all))
}
