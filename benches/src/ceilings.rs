//! How fast a device multiplies and copies, as candle lets it: the ceilings of whatever computes there.
use candle_core::{DType, Device, Result, Tensor};
use serde::Serialize;
use std::time::Instant;

/// Seconds that each is repeated for.
const SECONDS: f64 = 1.0;

/// What was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ceilings {
    /// Additions and multiplications per second in products of square f32 matrices.
    pub flops: f64,
    /// Bytes per second, those read and those written, of copies within the device's memory.
    pub bytes: f64,
}

impl Ceilings {
    /// Measure a device with products of matrices of `size` rows and columns, and copies of 16 such matrices.
    ///
    /// # Errors
    /// If the device fails.
    pub fn measure(device: &Device, size: usize) -> Result<Self> {
        let a = Tensor::ones((size, size), DType::F32, device)?;
        let product = seconds(device, || a.matmul(&a).map(drop))?;
        let long = Tensor::ones((16 * size, size), DType::F32, device)?;
        let copy = seconds(device, || long.copy().map(drop))?;
        let n = size as f64;
        Ok(Self { flops: 2.0 * n * n * n / product, bytes: 2.0 * 4.0 * 16.0 * n * n / copy })
    }
}

/// Seconds of one call, among enough of them to wait for the device only now and then.
fn seconds(device: &Device, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    // The first is for libraries and the allocator.
    call()?;
    device.synchronize()?;
    let (start, mut calls) = (Instant::now(), 0.0);
    loop {
        for _ in 0..5 {
            call()?;
        }
        device.synchronize()?;
        calls += 5.0;
        let passed = start.elapsed().as_secs_f64();
        if passed > SECONDS {
            return Ok(passed / calls);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_are_of_this_world() {
        let Ceilings { flops, bytes } = Ceilings::measure(&Device::Cpu, 64).unwrap();
        for rate in [flops, bytes] {
            assert!(rate > 1e7 && rate < 1e15, "{rate} per second");
        }
    }
}
