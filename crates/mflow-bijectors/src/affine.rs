//! A fixed affine map of each feature.
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::params::Params;
use crate::{Diff, Error, Result};
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// Config of [`FeatureAffine`]; its numbers live here, in the config, not among the parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FeatureAffineConfig {
    /// `a`, one per feature.
    pub shift: Vec<f64>,
    /// `s`, one per feature, positive.
    pub scale: Vec<f64>,
}

impl FeatureAffineConfig {
    /// Shift and scale, of equal length.
    pub fn new(shift: Vec<f64>, scale: Vec<f64>) -> Self {
        Self { shift, scale }
    }

    /// Create the layer.
    ///
    /// # Errors
    /// If the lengths differ or are 0, or a scale is not positive, or a number not finite; if a scale is too small or too large
    /// to be divided by in the dtype.
    #[expect(
        clippy::indexing_slicing,
        reason = "both are of the length `d`, the first thing that is checked"
    )]
    pub fn build(&self, params: &Params<'_>) -> Result<FeatureAffine> {
        let (d, n) = (self.scale.len(), self.shift.len());
        if d == 0 || n != d {
            let reason = format!("must be as long as `shift` and not empty, found {d} and {n}");
            return Err(Error::config("feature_affine.scale", reason));
        }
        if let Some(i) = (0..d).find(|&i| !(self.scale[i] > 0. && self.scale[i].is_finite())) {
            let reason = format!("must be positive and finite, found {} at {i}", self.scale[i]);
            return Err(Error::config("feature_affine.scale", reason));
        }
        if let Some(i) = (0..d).find(|&i| !self.shift[i].is_finite()) {
            let reason = format!("must be finite, found {} at {i}", self.shift[i]);
            return Err(Error::config("feature_affine.shift", reason));
        }
        // Subnormal numbers have no reciprocal.
        let (least, most) = match params.dtype() {
            DType::F64 => (f64::MIN_POSITIVE, 0.25 / f64::MIN_POSITIVE),
            _ => (f64::from(f32::MIN_POSITIVE), 0.25 / f64::from(f32::MIN_POSITIVE)),
        };
        if let Some(i) = (0..d).find(|&i| !(least..=most).contains(&self.scale[i])) {
            let (dtype, found) = (params.dtype().as_str(), self.scale[i]);
            let reason = format!(
                "must be from {least:.1e} to {most:.1e} in {dtype}, found {found:.1e} at {i}: give that column of the \
                 data another unit"
            );
            return Err(Error::config("feature_affine.scale", reason));
        }
        let tensor = |v: &[f64]| -> Result<Tensor> {
            let t = Tensor::from_vec(v.to_vec(), d, &candle_core::Device::Cpu)?;
            Ok(t.to_dtype(params.dtype())?.to_device(params.device())?)
        };
        let inverse: Vec<f64> = self.scale.iter().map(|s| s.recip()).collect();
        Ok(FeatureAffine {
            shift: tensor(&self.shift)?,
            scale: tensor(&self.scale)?,
            inverse_scale: tensor(&inverse)?,
            log_scale: self.scale.iter().map(|s| s.ln()).sum(),
            signature: Signature::vector(d, params.dtype(), params.device()),
        })
    }
}

/// `y = a + s x` for each feature, with fixed numbers; `log|det J| = Σ log s`.
///
/// **Shapes**: `[B, D]` to `[B, D]`. As the outermost map of a decoder it undoes the normalisation of
/// data, and enters the volume of the manifold through the tangents.
#[derive(Debug)]
pub struct FeatureAffine {
    shift: Tensor,
    scale: Tensor,
    inverse_scale: Tensor,
    log_scale: f64,
    signature: Signature,
}

impl Layer for FeatureAffine {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let shift = T::constant(&self.shift);
        // A fixed factor is a linear map: it scales tangents as it scales values.
        let (value, log_abs_det) = match direction {
            Direction::Forward => {
                (x.linear(|t| t.broadcast_mul(&self.scale))?.add(&shift)?, self.log_scale)
            }
            Direction::Inverse => {
                let centred = x.sub(&shift)?;
                (centred.linear(|t| t.broadcast_mul(&self.inverse_scale))?, -self.log_scale)
            }
        };
        let v = x.value();
        let log_abs_det = (Tensor::ones(v.dim(0)?, v.dtype(), v.device())? * log_abs_det)?;
        Ok(Mapped { value, log_abs_det: T::constant(&log_abs_det) })
    }
}
