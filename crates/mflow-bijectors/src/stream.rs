//! Named streams of random numbers: the only source of randomness in the workspace.
use candle_core::{DType, Device, Tensor};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng, TryRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal, StandardUniform};
use std::convert::Infallible;

use crate::{Result, host};

/// A reproducible stream of random numbers, named by its purpose.
///
/// One seed feeds many streams; what one purpose draws never shifts another, so adding a layer or a
/// metric changes no other number. Implements [`rand::Rng`].
#[derive(Clone, Debug)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream called `purpose` of `seed`.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(fnv1a(purpose.as_bytes()));
        Self(rng)
    }

    /// `n` standard normal numbers.
    pub fn normal(&mut self, n: usize) -> Vec<f64> {
        StandardNormal.sample_iter(&mut self.0).take(n).collect()
    }

    /// `n` numbers uniform in `[low, high)`.
    pub fn uniform(&mut self, n: usize, low: f64, high: f64) -> Vec<f64> {
        let unit = StandardUniform.sample_iter(&mut self.0);
        unit.take(n).map(|u: f64| low + (high - low) * u).collect()
    }

    /// A random permutation of `0..n`.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut p: Vec<usize> = (0..n).collect();
        p.shuffle(&mut self.0);
        p
    }

    /// A tensor of standard normal numbers; the same numbers, rounded, for any dtype.
    ///
    /// # Errors
    /// If the device cannot hold the tensor.
    pub fn normal_tensor(
        &mut self,
        shape: &[usize],
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let values = self.normal(shape.iter().product());
        Ok(host::place(&Tensor::from_vec(values, shape, &Device::Cpu)?, dtype, device)?)
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(dst);
        Ok(())
    }
}

/// 64-bit FNV-1a: stable across releases and platforms, unlike the standard library's hasher.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |h: u64, b: &u8| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
