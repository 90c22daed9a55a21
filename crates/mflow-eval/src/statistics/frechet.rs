//! The Fréchet distance of two samples, each taken for a normal distribution: Dowson and Landau (1982), "The Fréchet
//! distance between multivariate normal distributions", Journal of Multivariate Analysis 12; of features of images
//! Heusel et al. (2017), arXiv:1706.08500.
use super::neighbours::LARGEST;
use super::sample::Sample;
use crate::{Error, Estimate, Result};
use faer::{Mat, MatRef};

/// A Fréchet distance with its error, and what it would be of more rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrechetDistance {
    /// The squared distance of the two samples, as [`frechet_distance`] has it. It is larger than that of the
    /// distributions, and comparable only between samples of the same size.
    pub distance: Estimate,
    /// The same without the part of its bias that falls as `1/n`, by the jackknife; it may be negative. Not better
    /// than `distance` where there are fewer rows than columns, as the bias then falls more slowly.
    pub extrapolated: Estimate,
}

/// The squared Fréchet (2-Wasserstein) distance of two normal distributions with the means and covariances of the
/// samples, covariances by the divisor `n - 1`:
///
/// ```text
/// |μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½)
/// ```
///
/// It is 0 where means and covariances agree, whatever else differs. Of finite samples it is too large: two samples
/// of one distribution are apart by an amount that falls with the number of rows. Compare distances of samples of the
/// same size only, beside that of two samples of the truth.
///
/// No square root of a matrix is taken. With `Σᵢ = Fᵢᵀ Fᵢ`, the trace of the root is the sum of the singular values
/// of `F₁ F₂ᵀ`; `Fᵢ` are the centred rows, or where these are more than the columns the triangle of their QR
/// decomposition. So covariances need not have full rank, and rounding is relative to the traces.
///
/// # Errors
/// If the samples have other columns or less than two rows, or values of more than 1e150.
pub fn frechet_distance(x: Sample<'_>, y: Sample<'_>) -> Result<f64> {
    check(x, y, 2)?;
    between(&Moments::of(x, |_| true)?, &Moments::of(y, |_| true)?)
}

/// [`frechet_distance`] with an error, for independent rows: the distance is computed once more without each of
/// `blocks` parts of both samples (jackknife). Row `i` is of part `i mod blocks`, so that samples may be sorted.
///
/// The error is that of drawing the rows. It says nothing of the bias.
///
/// # Errors
/// As [`frechet_distance`]; for less than two blocks, or less than `2 blocks` rows.
#[expect(
    clippy::integer_division_remainder_used,
    reason = "rows have the columns of the sample, and blocks are 2 or more"
)]
pub fn frechet_with_error(x: Sample<'_>, y: Sample<'_>, blocks: usize) -> Result<FrechetDistance> {
    if blocks < 2 {
        return Err(Error::Blocks { expected: 2, found: blocks });
    }
    check(x, y, blocks.saturating_mul(2))?;
    let value = frechet_distance(x, y)?;
    let without = |block: usize| {
        let kept = |row: usize| row % blocks != block;
        between(&Moments::of(x, kept)?, &Moments::of(y, kept)?)
    };
    let b = blocks as f64;
    // Their mean is the extrapolation, and the error of the mean that of the jackknife.
    let pseudo = (0..blocks).map(|block| Ok(b * value - (b - 1.) * without(block)?));
    let extrapolated = Estimate::mean(&pseudo.collect::<Result<Vec<f64>>>()?)?;
    let count = x.count().min(y.count());
    Ok(FrechetDistance {
        distance: Estimate { value, count, ..extrapolated },
        extrapolated: Estimate { count, ..extrapolated },
    })
}

fn check(x: Sample<'_>, y: Sample<'_>, rows: usize) -> Result<()> {
    x.comparable(&y, rows)?;
    match x.rows().chain(y.rows()).flatten().all(|v| v.abs() <= LARGEST) {
        true => Ok(()),
        false => Err(Error::Distances { largest: LARGEST }),
    }
}

/// What a normal distribution is known by.
struct Moments {
    mean: Vec<f64>,
    /// `F`, of which `Fᵀ F` is the covariance: as many rows as the sample or as columns, whichever is less.
    factor: Mat<f64>,
    /// The trace of the covariance.
    trace: f64,
}

impl Moments {
    /// Of the rows that are kept, at least two.
    #[expect(
        clippy::indexing_slicing,
        reason = "rows have the columns of the sample, and blocks are 2 or more"
    )]
    fn of(x: Sample<'_>, is_kept: impl Fn(usize) -> bool) -> Result<Self> {
        let rows: Vec<&[f64]> =
            x.rows().enumerate().filter(|(i, _)| is_kept(*i)).map(|(_, row)| row).collect();
        let (n, d) = (rows.len(), x.dim());
        // Relative to a row of the sample, or a common offset would cost digits of the mean.
        let origin = x.row(0);
        let mut mean = vec![0.; d];
        for row in &rows {
            mean.iter_mut().zip(row.iter().zip(origin)).for_each(|(m, (v, o))| *m += v - o);
        }
        mean.iter_mut().zip(origin).for_each(|(m, o)| *m = *m / n as f64 + o);
        let scale = (n as f64 - 1.).sqrt();
        let mut factor = Mat::from_fn(n, d, |i, j| (rows[i][j] - mean[j]) / scale);
        if n > d {
            factor = factor.qr().thin_R().to_owned();
        }
        let trace = sum_of_squares(factor.as_ref());
        Ok(Self { mean, factor, trace })
    }
}

fn between(x: &Moments, y: &Moments) -> Result<f64> {
    let shift: f64 = x.mean.iter().zip(&y.mean).map(|(a, b)| (a - b) * (a - b)).sum();
    let roots = (&x.factor * y.factor.transpose())
        .singular_values()
        .map_err(|_| Error::Decomposition { what: "the Fréchet distance" })?;
    let spread = x.trace + y.trace - 2. * roots.iter().sum::<f64>();
    // It is a sum of squares: what is below 0 is rounding.
    Ok(shift + spread.max(0.))
}

/// The sum of the squares of a matrix.
fn sum_of_squares(a: MatRef<'_, f64>) -> f64 {
    a.col_iter().map(|column| column.iter().map(|v| v * v).sum::<f64>()).sum()
}
