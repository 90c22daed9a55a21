//! Write a map of your own: one generic body gives values, log-dets and tangents.
//!
//! `cargo run --release -p mflow --example e3_your_own_map`
#![expect(clippy::print_stdout, reason = "an example shows its results")]
use mflow::bijectors::candle::{DType, Device, Tensor};
use mflow::bijectors::{Bijector, Chain, Diff, Direction, Dual, Layer, Mapped, Result, Signature};
use std::sync::Arc;

/// `y = sinh(x)` of each feature; `log|det J| = Σ log cosh(x)`.
#[derive(Debug)]
struct Sinh(Signature);

impl Layer for Sinh {
    fn signature(&self) -> &Signature {
        &self.0
    }
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        match direction {
            Direction::Forward => {
                let (up, down) = (x.exp()?, x.neg()?.exp()?);
                let (sinh, cosh) = (up.sub(&down)?.scale(0.5)?, up.add(&down)?.scale(0.5)?);
                Ok(Mapped { value: sinh, log_abs_det: cosh.ln()?.sum_last()? })
            }
            Direction::Inverse => {
                // asinh(y) = ln(y + sqrt(y² + 1)), with slope 1 / sqrt(y² + 1).
                let root = x.mul(x)?.shift(1.)?.sqrt()?;
                let value = x.add(&root)?.ln()?;
                Ok(Mapped { value, log_abs_det: root.ln()?.neg()?.sum_last()? })
            }
        }
    }
}

fn main() -> Result<()> {
    let layer =
        || -> Arc<dyn Bijector> { Arc::new(Sinh(Signature::vector(1, DType::F64, &Device::Cpu))) };
    let twice = Chain::new(vec![layer(), layer()])?;
    let x = Tensor::new(&[[0.3_f64], [-0.8]], &Device::Cpu)?;
    let unit = Tensor::ones((2, 1, 1), DType::F64, &Device::Cpu)?;
    let y = twice.push_forward(&Dual::new(x.clone(), unit)?, None)?;
    let back = twice.inverse(y.value.value(), None)?;
    let error = (back.value - x)?.abs()?.max_all()?.to_scalar::<f64>()?;
    println!("round trip within {error:.1e}");

    // In one dimension the pushed unit tangent is the slope, whose log is the log-det.
    let slope = y.value.tangents().map(Tensor::flatten_all).transpose()?;
    let log_det = y.log_abs_det.value().to_vec1::<f64>()?;
    let slope = slope.map(|s| s.to_vec1::<f64>()).transpose()?.unwrap_or_default();
    println!(
        "log-dets {log_det:.4?}, logs of the slopes {:.4?}",
        slope.iter().map(|s| s.ln()).collect::<Vec<_>>()
    );
    assert!(error < 1e-12, "the inverse does not invert");
    assert!(
        slope.iter().zip(&log_det).all(|(s, l)| (s.ln() - l).abs() < 1e-12),
        "tangent and log-det disagree"
    );
    Ok(())
}
