//! Write a map of your own: one generic body gives values, log-dets and tangents, and the laws say whether it is right.
//!
//! `cargo run --release -p mflow --example e3_your_own_map`
#![expect(clippy::print_stdout, reason = "an example shows its results")]
use mflow::bijectors::candle::{DType, Device, Tensor};
use mflow::bijectors::laws::{self, Law, Options};
use mflow::bijectors::{Bijector, Diff, Direction, Layer, Mapped, Params, Result, Signature};
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
                // asinh(y) = ± ln(|y| + sqrt(y² + 1)) with the sign of y: without it the sum cancels for negative y.
                let zeros = x.value().zeros_like()?;
                let sign = (x.value().ge(&zeros)?.to_dtype(x.value().dtype())? * 2.)?;
                let sign = T::constant(&(sign - 1.)?);
                let root = x.mul(x)?.shift(1.)?.sqrt()?;
                let value = x.mul(&sign)?.add(&root)?.ln()?.mul(&sign)?;
                Ok(Mapped { value, log_abs_det: root.ln()?.neg()?.sum_last()? })
            }
        }
    }
}

/// Three features; a map with parameters would take them from `params`.
fn sinh(params: &mut Params<'_>) -> Result<Arc<dyn Bijector>> {
    Ok(Arc::new(Sinh(Signature::vector(3, params.dtype(), params.device()))))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Beyond 300 the square of sinh(x) has no floating-point number.
    let options = Options::default().reach(300.);
    laws::check("sinh", &sinh, &options)?;
    println!("sinh keeps {} laws", Law::ALL.len());

    let map = Sinh(Signature::vector(3, DType::F64, &Device::Cpu));
    let x = Tensor::new(&[[0.3_f64, -0.8, 2.]], &Device::Cpu)?;
    println!("forward: {}", map.forward(&x, None)?.value);
    Ok(())
}
