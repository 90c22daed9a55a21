//! Convolutions of square images as products of matrices, each with the batch normalisation behind it.
#![expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "sizes are those of the network, whose weights `Weights::get` compares with them"
)]
use super::weights::Weights;
use crate::Result;
use mflow_bijectors::host;
use mflow_core::candle::{Device, Tensor};

/// The networks' batch normalisation divides by `sqrt(variance + 1e-3)`.
const EPSILON: f32 = 1e-3;

/// What a kernel sees: its rows and columns, how far it moves, and zeros before and after, of rows and of columns. Both
/// directions make the same of a square image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) size: [usize; 2],
    pub(super) stride: usize,
    pub(super) padding: [usize; 2],
}

impl Window {
    pub(super) const PIXEL: Self = Self { size: [1, 1], stride: 1, padding: [0, 0] };

    /// The side of what comes out.
    fn side(self, side: usize) -> usize {
        (side + 2 * self.padding[0] - self.size[0]) / self.stride + 1
    }

    /// Of `x: [channels, side, side]` what each element of the kernel is multiplied with, `[channels * rows * columns,
    /// new * new]`.
    fn seen(self, x: &[f32], side: usize, new: usize) -> Vec<f32> {
        let Self { size: [rows, columns], stride, padding } = self;
        let channels = x.len() / (side * side);
        let mut seen = vec![0.; channels * rows * columns * new * new];
        let taps = x.chunks_exact(side * side).flat_map(|plane| {
            (0..rows * columns).map(move |tap| (plane, tap / columns, tap % columns))
        });
        for (seen, (plane, down, across)) in seen.chunks_exact_mut(new * new).zip(taps) {
            let first = padding[1].saturating_sub(across).div_ceil(stride);
            let start = first * stride + across - padding[1];
            for (i, seen) in seen.chunks_exact_mut(new).enumerate() {
                // What is beyond the edge stays zero.
                let row = (i * stride + down).checked_sub(padding[0]).filter(|row| *row < side);
                let Some(row) = row else { continue };
                let line = plane[row * side..][..side].get(start..).unwrap_or_default();
                let pairs = seen[first..].iter_mut();
                match stride {
                    1 => pairs.zip(line).for_each(|(seen, v)| *seen = *v),
                    _ => pairs.zip(line.iter().step_by(stride)).for_each(|(seen, v)| *seen = *v),
                }
            }
        }
        seen
    }
}

/// A convolution with a bias.
#[derive(Debug)]
pub(super) struct Conv {
    /// `[out, in * rows * columns]`
    weights: Tensor,
    bias: Vec<f32>,
    window: Window,
}

impl Conv {
    /// Of the tensors `{conv}.weight: [out, channels, rows, columns]` and `{norm}.*: [out]`.
    pub(super) fn read(
        weights: &Weights,
        conv: &str,
        norm: &str,
        [out, channels]: [usize; 2],
        window: Window,
    ) -> Result<Self> {
        let [rows, columns] = window.size;
        let (kernel, bias) = folded(weights, conv, norm, &[out, channels, rows, columns])?;
        let weights = Tensor::from_vec(kernel, (out, channels * rows * columns), &Device::Cpu)?;
        Ok(Self { weights, bias, window })
    }

    /// `x: [channels, side, side]` through `activation`, and the side of what comes out.
    pub(super) fn apply(
        &self,
        x: Vec<f32>,
        side: usize,
        activation: impl Fn(f32) -> f32,
    ) -> Result<(Vec<f32>, usize)> {
        let new = self.window.side(side);
        let seen = match self.window {
            Window { size: [1, 1], stride: 1, padding: [0, 0] } => x,
            window => window.seen(&x, side, new),
        };
        let seen = Tensor::from_vec(seen, (self.weights.dims()[1], new * new), &Device::Cpu)?;
        Ok((biased(&self.weights.matmul(&seen)?, &self.bias, activation)?, new))
    }
}

/// A convolution without a bias and the batch normalisation behind it, as one with a bias; the shape is that of its
/// weights, `[out, ..]`.
pub(super) fn folded(
    weights: &Weights,
    conv: &str,
    norm: &str,
    shape: &[usize],
) -> Result<(Vec<f32>, Vec<f32>)> {
    let of = |part: &str| weights.get(&format!("{norm}.{part}"), &shape[..1]);
    let (gamma, beta) = (of("weight")?, of("bias")?);
    let (mean, variance) = (of("running_mean")?, of("running_var")?);
    let mut kernel = weights.get(&format!("{conv}.weight"), shape)?;
    let scales: Vec<f32> =
        gamma.iter().zip(&variance).map(|(g, v)| g / (v + EPSILON).sqrt()).collect();
    let of_channel = kernel.len() / shape[0];
    for (kernel, scale) in kernel.chunks_exact_mut(of_channel).zip(&scales) {
        kernel.iter_mut().for_each(|w| *w *= scale);
    }
    let bias = beta.iter().zip(mean.iter().zip(&scales)).map(|(b, (m, s))| b - m * s).collect();
    Ok((kernel, bias))
}

/// `activation(x + bias)` of `x: [channels, ..]`.
pub(super) fn biased(
    x: &Tensor,
    bias: &[f32],
    activation: impl Fn(f32) -> f32,
) -> Result<Vec<f32>> {
    let pixels = x.elem_count() / bias.len();
    Ok(host::with_values(x, |x: &[f32]| {
        let mut out = Vec::with_capacity(x.len());
        for (plane, bias) in x.chunks_exact(pixels).zip(bias) {
            out.extend(plane.iter().map(|v| activation(v + bias)));
        }
        out
    })?)
}

/// The mean of each channel of `x: [channels, side, side]`.
pub(super) fn means(x: &[f32], side: usize) -> Vec<f64> {
    let pixels = side * side;
    let mean = |plane: &[f32]| plane.iter().map(|v| f64::from(*v)).sum::<f64>() / pixels as f64;
    x.chunks_exact(pixels).map(mean).collect()
}
