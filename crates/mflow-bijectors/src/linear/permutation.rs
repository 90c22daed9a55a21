//! A fixed permutation of the features.
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::count::check_features;
use crate::coupling::{Halves, Mask, indices};
use crate::domain::Domain;
use crate::kernel::permute::{FeatureOrder, PermuteOp};
use crate::kernel::rows::Rows;
use crate::kernel::{Kernel, PackedLayer};
use crate::params::Params;
use crate::route::{Code, Route};
use crate::shape::no_log_det;
use crate::{Diff, Error, Result, host};
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// Which permutation a [`Permutation`] is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Order {
    /// Drawn once from the seed.
    #[default]
    Random,
    /// Last to first.
    Reverse,
    /// The features that a mask keeps, then those that it moves.
    KeptFirst(Mask),
    /// Listed: feature `i` of the result is feature `p(i)`.
    Listed(Vec<usize>),
}

/// Config of [`Permutation`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PermutationConfig {
    /// Number of features.
    pub dim: usize,
    /// Which permutation.
    #[serde(default)]
    pub order: Order,
}

impl PermutationConfig {
    /// A random permutation of `dim` features.
    pub fn new(dim: usize) -> Self {
        Self { dim, order: Order::Random }
    }
    /// Another permutation.
    #[must_use]
    pub fn with_order(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// Create the layer; its buffer is `permutation`, `u32`, `[D]`.
    ///
    /// # Errors
    /// If `dim` is 0 or the listed order or a loaded buffer is no permutation.
    pub fn build(&self, params: &mut Params<'_>) -> Result<Permutation> {
        let dim = self.dim;
        check_features("permutation.dim", dim)?;
        let given = match &self.order {
            Order::Random => None,
            Order::Reverse => Some((0..dim).rev().collect()),
            Order::KeptFirst(mask) => {
                let Halves { keep, moved } = mask.halves(dim)?;
                Some([keep, moved].concat())
            }
            Order::Listed(list) => {
                let mut sorted = list.clone();
                sorted.sort_unstable();
                if sorted.into_iter().ne(0..dim) {
                    let reason = format!("must list each of 0..{dim} once, found {list:?}");
                    return Err(Error::config("permutation.order.listed", reason));
                }
                Some(list.clone())
            }
        };
        let index = params.buffer("permutation", |stream, device| {
            indices("permutation.dim", &given.unwrap_or_else(|| stream.permutation(dim)), device)
        })?;
        let invalid = |found: String| Error::ParameterValue {
            name: params.full_name("permutation"),
            reason: format!("expected a permutation of 0..{dim} as u32, found {found}"),
        };
        if index.dtype() != DType::U32 || index.dims() != [dim] {
            return Err(invalid(format!("{:?} of shape {:?}", index.dtype(), index.dims())));
        }
        let values = host::values::<u32>(&index)?;
        let mut inverse = vec![u32::MAX; dim];
        for (i, &p) in (0..).zip(&values) {
            match inverse.get_mut(p as usize) {
                Some(slot) if *slot == u32::MAX => *slot = i,
                _ => return Err(invalid(format!("{values:?}"))),
            }
        }
        let signature = Signature::vector(dim, params.dtype(), params.device())
            .between(Domain::Any, Domain::Any)
            .with_conformal(true);
        let tensor = Tensor::from_slice(&inverse, dim, params.device())?;
        let table = |index, list: Vec<u32>| FeatureOrder { index, list: list.into() };
        Ok(Permutation {
            forward: table(index, values),
            inverse: table(tensor, inverse),
            signature,
        })
    }
}

/// `y_i = x_p(i)` for a permutation `p`; `log|det J| = 0`.
///
/// **Shapes**: `[B, D]` to `[B, D]`.
#[derive(Debug)]
pub struct Permutation {
    forward: FeatureOrder,
    inverse: FeatureOrder,
    signature: Signature,
}

impl Permutation {
    /// Which feature each of the result is, and of which result each feature.
    fn orders(&self, direction: Direction) -> [&FeatureOrder; 2] {
        match direction {
            Direction::Forward => [&self.forward, &self.inverse],
            Direction::Inverse => [&self.inverse, &self.forward],
        }
    }
}

/// One direction, as its kernel sees it.
struct Fused<'a> {
    permutation: &'a Permutation,
    direction: Direction,
}

impl PackedLayer for Fused<'_> {
    fn packed(&self, points: &Tensor, rows: Rows, _: Option<&Tensor>) -> Result<Tensor> {
        let [order, back] = self.permutation.orders(self.direction).map(Clone::clone);
        Ok(match points.dtype() {
            DType::F64 => points.apply_op1(PermuteOp::<f64>::new(order, back, rows))?,
            _ => points.apply_op1(PermuteOp::<f32>::new(order, back, rows))?,
        })
    }
}

impl Layer for Permutation {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(&self, direction: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        let [order, _] = self.orders(direction);
        Ok(Mapped { value: x.select(&order.index)?, log_abs_det: no_log_det(x)? })
    }
    /// For chains alone: by itself a permutation is one operation anyway.
    fn kernel(&self, direction: Direction, x: &Tensor) -> Option<Kernel<'_>> {
        let has_kernel = Route::Auto.code(x.device()) != Code::Composition;
        has_kernel.then(|| Kernel(Box::new(Fused { permutation: self, direction })))
    }
}
