//! Maps that only move elements about: reshape and squeeze.
use super::{check_image, check_shape, size};
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::domain::Domain;
use crate::host;
use crate::params::Params;
use crate::{Diff, Error, Result};
use serde::{Deserialize, Serialize};

/// Config of a [`Reshape`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ReshapeConfig {
    /// Shape of a latent point.
    pub latent: Vec<usize>,
    /// Shape of a data point.
    pub data: Vec<usize>,
}

impl ReshapeConfig {
    /// From one shape to another of as many elements.
    pub fn new(latent: &[usize], data: &[usize]) -> Self {
        Self { latent: latent.to_vec(), data: data.to_vec() }
    }

    /// Create the layer.
    ///
    /// # Errors
    /// If the shapes are empty or differ in their number of elements.
    pub fn build(&self, params: &Params<'_>) -> Result<Reshape> {
        check_shape("reshape.latent", &self.latent)?;
        if size(&self.latent) != size(&self.data) || self.data.is_empty() {
            let (latent, data) = (&self.latent, &self.data);
            let reason = format!("must have as many elements as {latent:?}, found {data:?}");
            return Err(Error::config("reshape.data", reason));
        }
        let signature = Signature::event(&self.latent, params.dtype(), params.device())
            .with_data_shape(&self.data)
            .between(Domain::Any, Domain::Any)
            .with_conformal(true);
        Ok(Reshape { signature })
    }
}

/// The same elements, in row-major order, as points of another shape; `log|det J| = 0`.
///
/// **Shapes**: `[B, ..latent]` to `[B, ..data]`.
#[derive(Debug)]
pub struct Reshape {
    signature: Signature,
}

impl Layer for Reshape {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let shape = match direction {
            Direction::Forward => &self.signature.data_shape,
            Direction::Inverse => &self.signature.latent_shape,
        };
        Ok(Mapped { value: x.reshape(shape)?, log_abs_det: no_log_det(x)? })
    }
}

/// Zeros, `[B]`.
pub(crate) fn no_log_det<T: Diff>(x: &T) -> Result<T> {
    let v = x.value();
    Ok(T::constant(&host::zeros(v.dim(0)?, v.dtype(), v.device())?))
}

/// Config of a [`Squeeze`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SqueezeConfig {
    /// Shape `[H, W, C]` of a latent point.
    pub shape: Vec<usize>,
    /// Side of the square that becomes channels.
    #[serde(default = "two")]
    pub factor: usize,
}

fn two() -> usize {
    2
}

impl SqueezeConfig {
    /// Squares of 2 by 2.
    pub fn new(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), factor: two() }
    }
    /// Squares of another side.
    #[must_use]
    pub fn with_factor(self, factor: usize) -> Self {
        Self { factor, ..self }
    }

    /// Create the layer.
    ///
    /// # Errors
    /// If the shape is not `[H, W, C]` with sides that are multiples of the factor.
    #[expect(
        clippy::integer_division_remainder_used,
        reason = "the factor is not 0, as `build` checks first"
    )]
    pub fn build(&self, params: &Params<'_>) -> Result<Squeeze> {
        let [h, w, c] = check_image("squeeze.shape", &self.shape)?;
        let f = self.factor;
        if f == 0 || h % f != 0 || w % f != 0 {
            let reason = format!("must divide height {h} and width {w}, found {f}");
            return Err(Error::config("squeeze.factor", reason));
        }
        let signature = Signature::event(&self.shape, params.dtype(), params.device())
            .with_data_shape(&[h / f, w / f, c * f * f])
            .between(Domain::Any, Domain::Any)
            .with_conformal(true);
        Ok(Squeeze { factor: f, signature })
    }
}

/// Squares of `f` by `f` pixels become `f²` channels; `log|det J| = 0`.
///
/// **Shapes**: `[B, H, W, C]` to `[B, H/f, W/f, C f²]`, with
/// `y[i, j, c f² + f r + s] = x[f i + r, f j + s, c]`.
///
/// **Reference**: Dinh et al. (2017), *Real NVP*, arXiv 1605.08803, section 3.6.
#[derive(Debug)]
pub struct Squeeze {
    factor: usize,
    signature: Signature,
}

impl Layer for Squeeze {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    #[expect(
        clippy::integer_division_remainder_used,
        reason = "the factor is not 0, as `build` checks first"
    )]
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let f = self.factor;
        let (h, w, c) = match *self.signature.data_shape.as_slice() {
            [h, w, c] => (h, w, c / (f * f)),
            _ => return Err(Error::config("squeeze.shape", "must have three axes")),
        };
        let value = match direction {
            // [H/f, f, W/f, f, C] -> [H/f, W/f, C, f, f].
            Direction::Forward => x.reshape(&[h, f, w, f, c])?.permute(&[0, 2, 4, 1, 3])?,
            Direction::Inverse => x.reshape(&[h, w, c, f, f])?.permute(&[0, 3, 1, 4, 2])?,
        };
        let shape = match direction {
            Direction::Forward => &self.signature.data_shape,
            Direction::Inverse => &self.signature.latent_shape,
        };
        Ok(Mapped { value: value.reshape(shape)?, log_abs_det: no_log_det(x)? })
    }
}
