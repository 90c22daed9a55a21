//! From the reals into a box of coordinates.
use crate::Result;
use candle_core::{DType, Device, Tensor};
use mflow_bijectors::{Diff, Direction, Domain, Layer, Mapped, Signature};
use std::f64::consts::PI;

/// `y = low + (high - low) / (1 + exp(-x))` for each feature, from the reals into the open intervals of a
/// domain; an angle is the interval `(-π, π)`, with a seam at its ends.
///
/// ```text
/// log|det J| = Σ ln(high - low) - softplus(x) - softplus(-x)
/// ```
///
/// **Shapes**: `[B, N]` to `[B, N]`. Points on the border go to the largest numbers that come from
/// inside.
#[derive(Debug)]
pub(crate) struct Bounded {
    low: Tensor,
    range: Tensor,
    log_range: f64,
    /// Least distance to the ends, as a share of the range.
    margin: f64,
    signature: Signature,
}

impl Bounded {
    pub(crate) fn new(domain: &Domain, dim: usize, dtype: DType, device: &Device) -> Result<Self> {
        let each = match domain {
            Domain::Features(each) => each.clone(),
            all => vec![all.clone(); dim],
        };
        let ends = each.iter().map(|d| match d {
            Domain::Angle => Ok((-PI, PI)),
            Domain::Interval { low, high } => Ok((*low, *high)),
            other => {
                let reason =
                    format!("must end in {domain}; there is no map of the reals to {other}");
                Err(mflow_bijectors::Error::config("inner", reason))
            }
        });
        let ends = ends.collect::<mflow_bijectors::Result<Vec<_>>>()?;
        let tensor = |f: fn(&(f64, f64)) -> f64| -> Result<Tensor> {
            let values: Vec<f64> = ends.iter().map(f).collect();
            let t = Tensor::from_vec(values, dim, &Device::Cpu)?;
            Ok(t.to_dtype(dtype)?.to_device(device)?)
        };
        Ok(Self {
            low: tensor(|e| e.0)?,
            range: tensor(|e| e.1 - e.0)?,
            log_range: ends.iter().map(|e| (e.1 - e.0).ln()).sum(),
            margin: if dtype == DType::F64 { f64::EPSILON } else { f64::from(f32::EPSILON) },
            signature: Signature::vector(dim, dtype, device).between(Domain::Reals, domain.clone()),
        })
    }
}

impl Layer for Bounded {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        _: Option<&T>,
    ) -> mflow_bijectors::Result<Mapped<T>> {
        let log_slope = |t: &T| -> mflow_bijectors::Result<T> {
            t.softplus()?.add(&t.neg()?.softplus()?)?.neg()?.sum_last()?.shift(self.log_range)
        };
        match direction {
            Direction::Forward => {
                let share = x.sigmoid()?;
                let value = share.linear(|t| t.broadcast_mul(&self.range))?;
                let value = value.add(&T::constant(&self.low))?;
                Ok(Mapped { value, log_abs_det: log_slope(x)? })
            }
            Direction::Inverse => {
                let inverse = self.range.recip()?;
                let share = x.sub(&T::constant(&self.low))?;
                let share = share.linear(|t| t.broadcast_mul(&inverse))?;
                let inside = share.value().clamp(self.margin, 1. - self.margin)?;
                let share = share.elementwise(inside, || share.value().ones_like())?;
                let value = share.ln()?.sub(&share.neg()?.shift(1.)?.ln()?)?;
                let log_abs_det = log_slope(&value)?.neg()?;
                Ok(Mapped { value, log_abs_det })
            }
        }
    }
}
