//! [`BijectorConfig`]: any bijector as it is written in a config file.
use crate::affine::FeatureAffineConfig;
use crate::autoregressive::AutoregressiveConfig;
use crate::bijector::Bijector;
use crate::chain::{Chain, Inverted};
use crate::coupling::CouplingConfig;
use crate::elementwise::ElementwiseConfig;
use crate::linear::{LuLinearConfig, PermutationConfig};
use crate::params::Params;
use crate::shape::PartialMap;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Any bijector, as it is written in a config file: `kind` names it, the rest are its fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum BijectorConfig {
    /// A coupling layer.
    Coupling(CouplingConfig),
    /// An autoregressive layer.
    Autoregressive(AutoregressiveConfig),
    /// An element-wise map with parameters of its own.
    Elementwise(ElementwiseConfig),
    /// [`crate::Permutation`].
    Permutation(PermutationConfig),
    /// [`crate::LuLinear`].
    LuLinear(LuLinearConfig),
    /// [`crate::FeatureAffine`].
    FeatureAffine(FeatureAffineConfig),
    /// [`PartialMap`]; adds nothing to the names of parameters.
    Partial {
        /// Number of features.
        dim: usize,
        /// The features that the map acts on.
        features: Vec<usize>,
        /// The map.
        of: Box<Self>,
    },
    /// [`Chain`]; parameters are named after the position.
    Chain {
        /// Applied first to last by `forward`.
        layers: Vec<Self>,
    },
    /// [`Inverted`]; adds nothing to the names of parameters.
    Inverted {
        /// The map whose directions are swapped.
        of: Box<Self>,
    },
}

impl BijectorConfig {
    /// Create the bijector, taking its parameters from `params`.
    ///
    /// # Errors
    /// If a field is out of range, parts do not fit, or a parameter does not.
    pub fn build(&self, params: &mut Params<'_>) -> Result<Arc<dyn Bijector>> {
        Ok(match self {
            Self::Coupling(config) => config.build(params)?,
            Self::Autoregressive(config) => config.build(params)?,
            Self::Elementwise(config) => config.build(params)?,
            Self::Permutation(config) => Arc::new(config.build(params)?),
            Self::LuLinear(config) => Arc::new(config.build(params)?),
            Self::FeatureAffine(config) => Arc::new(config.build(params)?),
            Self::Partial { dim, features, of } => {
                Arc::new(PartialMap::new(*dim, features, of.build(params)?)?)
            }
            Self::Chain { layers } => {
                let mut parts = Vec::with_capacity(layers.len());
                for (i, layer) in layers.iter().enumerate() {
                    let part = layer.build(&mut params.scope(&i.to_string()));
                    parts.push(part.map_err(|e| match e {
                        Error::Config { field, reason } => {
                            Error::Config { field: format!("layers.{i}.{field}"), reason }
                        }
                        other => other,
                    })?);
                }
                Arc::new(Chain::new(parts)?)
            }
            Self::Inverted { of } => Arc::new(Inverted::new(of.build(params)?)),
        })
    }
}
