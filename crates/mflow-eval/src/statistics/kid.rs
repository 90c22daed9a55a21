//! The kernel distance of Bińkowski et al. (2018), "Demystifying MMD GANs", arXiv:1801.01401 (KID, of features of
//! Inception).
use super::sample::Sample;
use crate::{Error, Estimate, Result};
use faer::{Mat, MatRef};

/// Rows whose products with as many others are held at once: 2 MiB.
const TILE: usize = 512;

/// The squared maximum mean discrepancy with the kernel `(x·y/D + 1)³`: the mean over `blocks` parts of both samples
/// of the unbiased estimate, with the error of that mean. Row `i` is of part `i mod blocks`, so that samples may be
/// sorted.
///
/// Unlike the Fréchet distance it is right on average for samples of any size, and so negative half of the time where
/// the distributions are equal. More blocks take less time and know it less well; it takes at least three for an error
/// to rely on.
///
/// # Errors
/// If the samples have other columns, there are no blocks or less than two rows for each, or values are so large that
/// the kernel is not finite.
pub fn kernel_distance(x: Sample<'_>, y: Sample<'_>, blocks: usize) -> Result<Estimate> {
    if blocks == 0 {
        return Err(Error::Blocks { expected: 1, found: blocks });
    }
    x.comparable(&y, blocks.saturating_mul(2))?;
    let of_block = |block: usize| -> Result<f64> {
        let (x, y) = (part(x, block, blocks), part(y, block, blocks));
        let pairs = |rows: usize| rows as f64 * (rows as f64 - 1.);
        let between =
            sum_of_kernels(x.as_ref(), y.as_ref()) / (x.nrows() as f64 * y.nrows() as f64);
        let within = |a: &Mat<f64>| {
            let own: f64 = (0..a.nrows()).map(|i| own_kernel(a.as_ref(), i)).sum();
            (sum_of_kernels(a.as_ref(), a.as_ref()) - own) / pairs(a.nrows())
        };
        let found = within(&x) + within(&y) - 2. * between;
        // A cube of products of numbers below this is finite, also in a sum.
        found.is_finite().then_some(found).ok_or(Error::Distances { largest: 1e40 })
    };
    Estimate::mean(&(0..blocks).map(of_block).collect::<Result<Vec<f64>>>()?)
}

/// The rows of a block, divided by the root of their length, so that their products are those of the kernel.
#[expect(clippy::indexing_slicing, reason = "columns of the sample")]
fn part(x: Sample<'_>, block: usize, blocks: usize) -> Mat<f64> {
    let rows = (x.count() - block).div_ceil(blocks);
    let scale = (x.dim() as f64).sqrt();
    Mat::from_fn(rows, x.dim(), |i, j| x.row(i * blocks + block)[j] / scale)
}

fn kernel(product: f64) -> f64 {
    let base = product + 1.;
    base * base * base
}

fn own_kernel(a: MatRef<'_, f64>, row: usize) -> f64 {
    kernel(a.row(row).iter().map(|v| v * v).sum())
}

/// Over all pairs of a row of one and a row of the other.
fn sum_of_kernels(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> f64 {
    let tiles = |rows: usize| (0..rows).step_by(TILE).map(move |i| (i, TILE.min(rows - i)));
    let mut sum = 0.;
    for (i, rows) in tiles(a.nrows()) {
        for (j, others) in tiles(b.nrows()) {
            let products = a.subrows(i, rows) * b.subrows(j, others).transpose();
            let columns = products.col_iter();
            sum += columns.map(|c| c.iter().map(|v| kernel(*v)).sum::<f64>()).sum::<f64>();
        }
    }
    sum
}
