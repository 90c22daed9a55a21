//! [`Noise`]: the random numbers of training, handed in by the trainer.
use crate::Result;
use crate::stream::Stream;
use candle_core::{DType, Device, Tensor};
use rand::Rng;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The random numbers that dropout and random choices take in one training step, drawn per (step, layer,
/// row): they do not depend on how a batch is cut into shards.
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
    pub fn layer(&self) -> LayerNoise {
        let layer = self.layers.fetch_add(1, Ordering::Relaxed);
        let purpose = format!("dropout {layer} {}", self.step);
        LayerNoise { seed: self.seed, purpose, first_row: self.first_row }
    }
}

/// The noise of one layer in one step.
#[derive(Clone, Debug)]
pub struct LayerNoise {
    seed: u64,
    purpose: String,
    first_row: usize,
}

impl LayerNoise {
    /// A number in `[0, 1)` for each of `rows` rows; asked again, the same.
    pub fn uniform(&self, rows: usize) -> Vec<f64> {
        self.numbers(0, rows, 1).collect()
    }

    /// `width` numbers in `[0, 1)` for each of `rows` rows.
    fn numbers(&self, site: usize, rows: usize, width: usize) -> impl Iterator<Item = f64> {
        // Of 53 bits.
        let uniform = |bits: u64| (bits >> 11) as f64 / (1_u64 << 53) as f64;
        (self.first_row..self.first_row + rows).flat_map(move |row| {
            let mut stream = Stream::new(self.seed, &format!("{} {site} {row}", self.purpose));
            (0..width).map(move |_| uniform(stream.next_u64()))
        })
    }

    /// Masks of shape `[rows, ..shape]`: 0 with probability `p`, else `1/(1 - p)`; `site` tells
    /// those of one layer apart.
    #[expect(clippy::indexing_slicing, reason = "what is dropped has a batch axis")]
    pub(crate) fn dropout(
        &self,
        site: usize,
        p: f64,
        shape: &[usize],
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let (rows, width) = (shape[0], shape[1..].iter().product::<usize>());
        let keep = |u: f64| if u < p { 0. } else { 1. / (1. - p) };
        let mask: Vec<f64> = self.numbers(site, rows, width).map(keep).collect();
        Ok(Tensor::from_vec(mask, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
    }
}
