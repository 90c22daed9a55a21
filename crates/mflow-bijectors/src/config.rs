//! [`BijectorConfig`]: any bijector as it is written in a config file.
use crate::affine::FeatureAffineConfig;
use crate::bijector::Bijector;
use crate::chain::{Chain, Inverted};
use crate::coupling::RqCouplingConfig;
use crate::linear::{LuLinearConfig, PermutationConfig};
use crate::params::Params;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Any bijector, as it is written in a config file: `kind` names it, the rest are its fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum BijectorConfig {
    /// [`crate::RqCoupling`].
    RqCoupling(RqCouplingConfig),
    /// [`crate::Permutation`].
    Permutation(PermutationConfig),
    /// [`crate::LuLinear`].
    LuLinear(LuLinearConfig),
    /// [`crate::FeatureAffine`].
    FeatureAffine(FeatureAffineConfig),
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
    pub fn build(&self, params: &mut Params<'_>) -> Result<Box<dyn Bijector>> {
        Ok(match self {
            Self::RqCoupling(config) => Box::new(config.build(params)?),
            Self::Permutation(config) => Box::new(config.build(params)?),
            Self::LuLinear(config) => Box::new(config.build(params)?),
            Self::FeatureAffine(config) => Box::new(config.build(params)?),
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
                Box::new(Chain::new(parts)?)
            }
            Self::Inverted { of } => Box::new(Inverted::new(of.build(params)?)),
        })
    }
}
