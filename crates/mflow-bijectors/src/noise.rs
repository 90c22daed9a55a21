//! [`Noise`]: the random numbers of training, handed in by the trainer.
use crate::Result;
use crate::stream::Stream;
use candle_core::{DType, Device, Tensor};
use rand::Rng;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The random numbers that dropout takes in one training step, drawn per (step, layer, row): they do
/// not depend on how a batch is cut into shards.
#[derive(Debug)]
pub struct Noise {
    seed: u64,
    step: u64,
    first_row: usize,
    layers: AtomicUsize,
}

impl Noise {
    /// The noise of `step` for rows `first_row ..` of the batch.
    pub fn new(seed: u64, step: u64, first_row: usize) -> Self {
        Self { seed, step, first_row, layers: AtomicUsize::new(0) }
    }

    /// The noise of the next layer: layers ask in the order in which they were built.
    pub(crate) fn layer(&self) -> LayerNoise {
        let layer = self.layers.fetch_add(1, Ordering::Relaxed);
        let purpose = format!("dropout {layer} {}", self.step);
        LayerNoise { seed: self.seed, purpose, first_row: self.first_row }
    }
}

/// The noise of one layer in one step.
#[derive(Clone, Debug)]
pub(crate) struct LayerNoise {
    seed: u64,
    purpose: String,
    first_row: usize,
}

impl LayerNoise {
    /// Masks of shape `[rows, ..shape]`: 0 with probability `p`, else `1/(1 - p)`; `site` tells
    /// those of one layer apart.
    pub(crate) fn dropout(
        &self,
        site: usize,
        p: f64,
        shape: &[usize],
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let (rows, width) = (shape[0], shape[1..].iter().product::<usize>());
        let mut mask = Vec::with_capacity(rows * width);
        for row in self.first_row..self.first_row + rows {
            let mut stream = Stream::new(self.seed, &format!("{} {site} {row}", self.purpose));
            // A number in [0, 1) of 53 bits.
            let uniform = |bits: u64| (bits >> 11) as f64 / (1_u64 << 53) as f64;
            let keep = |u: f64| if u < p { 0. } else { 1. / (1. - p) };
            mask.extend((0..width).map(|_| keep(uniform(stream.next_u64()))));
        }
        Ok(Tensor::from_vec(mask, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
    }
}
