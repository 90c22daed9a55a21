//! Coordinates of images along the principal axes of others.
use super::{Features, check_columns};
use crate::statistics::Sample;
use crate::{Error, Result};
use faer::{Mat, Side};

/// Coordinates along the `k` principal axes of the training images, not scaled: `pca-k`.
///
/// What lies off these axes is not seen, whatever it is.
#[derive(Clone, Debug)]
pub struct PcaFeatures {
    name: String,
    mean: Vec<f64>,
    /// `[D, k]`, of length 1 and orthogonal.
    axes: Mat<f64>,
    /// The share of the training images' variance along these axes.
    explained: f64,
}

impl PcaFeatures {
    /// The axes of `training` images along which these spread most.
    ///
    /// # Errors
    /// [`Error::TooFew`] where there are less than `k + 1` images, [`Error::Features`] where `k` is 0, or the images
    /// extend in less directions.
    #[expect(
        clippy::indexing_slicing,
        reason = "matrices of the sizes of the sample and of k axes, of which there are so many"
    )]
    pub fn fit(training: Sample<'_>, k: usize) -> Result<Self> {
        training.at_least(k.saturating_add(1))?;
        let (n, d) = (training.count(), training.dim());
        let mut mean = vec![0.; d];
        for row in training.rows() {
            mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / n as f64);
        }
        let centred = Mat::from_fn(n, d, |i, j| training.row(i)[j] - mean[j]);
        // The smaller of the two matrices with the same eigenvalues but for zeros.
        let rows = centred.as_ref();
        let small = if n < d { rows * rows.transpose() } else { rows.transpose() * rows };
        let found = small
            .self_adjoint_eigen(Side::Lower)
            .map_err(|_| Error::Decomposition { what: "principal axes of images" })?;
        let values: Vec<f64> = found.S().column_vector().iter().copied().collect();
        let total: f64 = values.iter().sum();
        let size = values.len(); // in ascending order
        let rank = values.iter().filter(|v| **v > 1e-12 * total).count();
        if k == 0 || k > rank {
            let expected = format!("1 to {rank} principal axes, in which these images extend");
            return Err(Error::Features { expected, found: k.to_string() });
        }
        let largest = found.U().subcols(size - k, k);
        let axes = match n < d {
            true => rows.transpose() * largest,
            false => largest.to_owned(),
        };
        let lengths: Vec<f64> = axes.col_iter().map(|axis| axis.norm_l2()).collect();
        // The first axis is that of the largest spread.
        let axes = Mat::from_fn(d, k, |i, j| axes[(i, k - 1 - j)] / lengths[k - 1 - j]);
        let explained = values[size - k..].iter().sum::<f64>() / total;
        Ok(Self { name: format!("pca-{k}"), mean, axes, explained })
    }

    /// The share of the training images' variance along these axes, 0 to 1.
    #[must_use]
    pub fn explained(&self) -> f64 {
        self.explained
    }
}

impl Features for PcaFeatures {
    fn name(&self) -> &str {
        &self.name
    }
    fn dim(&self) -> usize {
        self.axes.ncols()
    }
    #[expect(
        clippy::indexing_slicing,
        reason = "matrices of the sizes of the sample and of k axes, of which there are so many"
    )]
    fn of(&self, images: Sample<'_>) -> Result<Vec<f64>> {
        check_columns(images, self.mean.len())?;
        let (n, d) = (images.count(), images.dim());
        let centred = Mat::from_fn(n, d, |i, j| images.row(i)[j] - self.mean[j]);
        let found = &centred * &self.axes;
        Ok((0..n).flat_map(|i| found.row(i).iter().copied().collect::<Vec<_>>()).collect())
    }
}
