//! A fixed permutation of the features.
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::params::Params;
use crate::{Diff, Error, Result};
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// Config of [`Permutation`]: drawn once from the seed, then a saved buffer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PermutationConfig {
    /// Number of features.
    pub dim: usize,
}

impl PermutationConfig {
    /// A random permutation of `dim` features.
    pub fn new(dim: usize) -> Self {
        Self { dim }
    }

    /// Create the layer; its buffer is `permutation`, `u32`, `[D]`.
    ///
    /// # Errors
    /// If `dim` is 0 or a loaded buffer is no permutation.
    pub fn build(&self, params: &mut Params<'_>) -> Result<Permutation> {
        let dim = self.dim;
        let small = u32::try_from(dim).ok().filter(|d| *d > 0);
        if small.is_none() {
            let reason = format!("must be positive and fit in 32 bits, found {dim}");
            return Err(Error::config("permutation.dim", reason));
        }
        let index = params.buffer("permutation", |stream, device| {
            let p = stream.permutation(dim).into_iter().filter_map(|i| u32::try_from(i).ok());
            Ok(Tensor::from_vec(p.collect::<Vec<_>>(), dim, device)?)
        })?;
        let invalid = |found: String| Error::ParameterValue {
            name: params.full_name("permutation"),
            reason: format!("expected a permutation of 0..{dim} as u32, found {found}"),
        };
        if index.dtype() != DType::U32 || index.dims() != [dim] {
            return Err(invalid(format!("{:?} of shape {:?}", index.dtype(), index.dims())));
        }
        let values = index.to_vec1::<u32>()?;
        let mut inverse = vec![u32::MAX; dim];
        for (i, &p) in (0..).zip(&values) {
            match inverse.get_mut(p as usize) {
                Some(slot) if *slot == u32::MAX => *slot = i,
                _ => return Err(invalid(format!("{values:?}"))),
            }
        }
        let signature = Signature::vector(dim, params.dtype(), params.device());
        let inverse = Tensor::from_vec(inverse, dim, params.device())?;
        Ok(Permutation { index, inverse, signature })
    }
}

/// `y_i = x_p(i)` for a permutation `p`; `log|det J| = 0`.
///
/// **Shapes**: `[B, D]` to `[B, D]`.
#[derive(Debug)]
pub struct Permutation {
    index: Tensor,
    inverse: Tensor,
    signature: Signature,
}

impl Layer for Permutation {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let v = x.value();
        let index = match direction {
            Direction::Forward => &self.index,
            Direction::Inverse => &self.inverse,
        };
        let zero = Tensor::zeros(v.dim(0)?, v.dtype(), v.device())?;
        Ok(Mapped { value: x.select(index)?, log_abs_det: T::constant(&zero) })
    }
}
