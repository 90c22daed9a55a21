//! Convolutions of the hidden layers of a network whose rows are pixels, as products of matrices.
//!
//! What the kernel sees around a pixel is copied into one row of a small matrix that stays in the cache, and multiplied.
use super::buffer::Buffer;
use super::gemm::{Matrix, MatrixMut, gemm};
use super::lanes::Element;
use super::rows::Rows;
use crate::nn::{Grid, SIDE};
use candle_core::Result;

/// How many numbers the copies have at most: half of the second cache of a common core, in single precision.
const PATCHES: usize = 64 << 10;

/// What the kernel sees at each of some rows: `[rows, SIDE², width]`, zeros beyond the image.
///
/// Rows are pixels, image by image, then the tangents of each pixel, so that the tangents of its neighbour lie as many
/// rows further as the neighbour itself, times their number.
#[derive(Clone, Copy)]
struct Patches<'a, T> {
    grid: Grid,
    rows: Rows,
    x: &'a [T],
    width: usize,
}

impl<T: Element> Patches<'_, T> {
    /// Those of the rows from `first` on, as many as `out` holds.
    fn copy(self, first: usize, out: &mut [T]) {
        let Self { grid: Grid { height, width: across }, rows, x, width } = self;
        let (reach, per) = (SIDE / 2, SIDE * SIDE * width);
        for (row, out) in (first..).zip(out.chunks_exact_mut(per)) {
            // The pixel, how far apart the rows of pixels are, and the row's own place among them.
            let (pixel, apart, base) = match row.checked_sub(rows.points) {
                None => (row, 1, row),
                Some(of_tangents) => (of_tangents / rows.tangents, rows.tangents, row),
            };
            let (i, j) = (pixel / across % height, pixel % across);
            for (k, out) in out.chunks_exact_mut(SIDE * width).enumerate() {
                if i + k < reach || i + k >= height + reach {
                    out.fill(T::default());
                    continue;
                }
                // The row of the pixel that the middle of this line of the kernel sees.
                let line = base + apart * across * k - apart * across * reach;
                for (l, out) in out.chunks_exact_mut(width).enumerate() {
                    if j + l < reach || j + l >= across + reach {
                        out.fill(T::default());
                    } else {
                        let at = (line + apart * l - apart * reach) * width;
                        out.copy_from_slice(&x[at..at + width]);
                    }
                }
            }
        }
    }

    /// `step` for each part of the rows, with their numbers and what the kernel sees there.
    fn each(
        self,
        mut step: impl FnMut(std::ops::Range<usize>, Matrix<'_, T>) -> Result<()>,
    ) -> Result<()> {
        let (per, all) = (SIDE * SIDE * self.width, self.rows.len());
        let most = (PATCHES / per.max(1)).clamp(16, all.max(16));
        let mut seen = Buffer::stale(most.min(all) * per);
        for first in (0..all).step_by(most) {
            let count = most.min(all - first);
            let seen = &mut seen[..count * per];
            self.copy(first, seen);
            step(first..first + count, Matrix::new(seen, count, per))?;
        }
        Ok(())
    }
}

/// The convolution of `x: [rows, inputs]` with `weight: [SIDE² inputs, outputs]`, `[rows, outputs]`.
pub(crate) fn convolve<T: Element>(
    grid: Grid,
    rows: Rows,
    x: &[T],
    weight: &[T],
    outputs: usize,
) -> Result<Buffer<T>> {
    let inputs = weight.len() / (SIDE * SIDE * outputs);
    let weight = Matrix::new(weight, SIDE * SIDE * inputs, outputs);
    let mut y = Buffer::stale(rows.len() * outputs);
    Patches { grid, rows, x, width: inputs }.each(|part, seen| {
        let y = &mut y[part.start * outputs..part.end * outputs];
        gemm(MatrixMut::new(y, part.len(), outputs), false, seen, weight)
    })?;
    Ok(y)
}

/// Its transpose: the cotangents `g: [rows, outputs]` of a convolution to those of its argument, `[rows, inputs]`.
pub(crate) fn pull<T: Element>(
    grid: Grid,
    rows: Rows,
    g: &[T],
    weight: &[T],
    outputs: usize,
) -> Result<Buffer<T>> {
    let inputs = weight.len() / (SIDE * SIDE * outputs);
    // What a pixel gives to its neighbour on one side it gets from the neighbour on the other side.
    let mut turned = Buffer::stale(weight.len());
    let entries = weight.chunks_exact(inputs * outputs).rev();
    for (turned, entry) in turned.chunks_exact_mut(inputs * outputs).zip(entries) {
        for (o, turned) in turned.chunks_exact_mut(inputs).enumerate() {
            turned.iter_mut().enumerate().for_each(|(i, w)| *w = entry[i * outputs + o]);
        }
    }
    convolve(grid, rows, g, &turned, inputs)
}

/// The cotangents of the weight, `[SIDE² inputs, outputs]`, into `g_weight`.
pub(crate) fn pull_weight<T: Element>(
    grid: Grid,
    rows: Rows,
    x: &[T],
    g: &[T],
    outputs: usize,
    g_weight: &mut [T],
) -> Result<()> {
    let inputs = g_weight.len() / (SIDE * SIDE * outputs);
    g_weight.fill(T::default());
    Patches { grid, rows, x, width: inputs }.each(|part, seen| {
        let g = Matrix::new(&g[part.start * outputs..part.end * outputs], part.len(), outputs);
        gemm(MatrixMut::new(g_weight, SIDE * SIDE * inputs, outputs), true, seen.t(), g)
    })
}
