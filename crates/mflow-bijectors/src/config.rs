//! [`BijectorConfig`]: any bijector as it is written in a config file.
use crate::affine::FeatureAffineConfig;
use crate::autoregressive::AutoregressiveConfig;
use crate::bijector::Bijector;
use crate::chain::{Chain, Inverted};
use crate::conformal::{InversionConfig, ScalingConfig, SpecialConformalConfig};
use crate::coupling::{CircularCouplingConfig, CouplingConfig, ImageCouplingConfig};
use crate::elementwise::{AngleShiftConfig, ElementwiseConfig, FunctionConfig};
use crate::linear::{
    LuLinearConfig, OrthogonalConfig, PermutationConfig, QrLinearConfig, SvdLinearConfig,
};
use crate::norm::{ActNormConfig, BatchNormConfig, GaussianizeConfig};
use crate::numerical::{ResidualBlockConfig, TanhMixtureConfig};
use crate::params::Params;
use crate::shape::{Concat, Multiscale, PartialMap, Pixelwise, ReshapeConfig, SqueezeConfig};
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
    /// A coupling layer of angles.
    CircularCoupling(CircularCouplingConfig),
    /// A coupling layer of images.
    ImageCoupling(ImageCouplingConfig),
    /// An autoregressive layer.
    Autoregressive(AutoregressiveConfig),
    /// An element-wise map with parameters of its own.
    Elementwise(ElementwiseConfig),
    /// A fixed function of every element, [`crate::FunctionMap`].
    Function(FunctionConfig),
    /// [`crate::TanhMixture`].
    TanhMixture(TanhMixtureConfig),
    /// [`crate::ResidualBlock`].
    ResidualBlock(ResidualBlockConfig),
    /// [`crate::AngleShift`].
    AngleShift(AngleShiftConfig),
    /// [`crate::Permutation`].
    Permutation(PermutationConfig),
    /// [`crate::LuLinear`].
    LuLinear(LuLinearConfig),
    /// [`crate::QrLinear`].
    QrLinear(QrLinearConfig),
    /// [`crate::SvdLinear`].
    SvdLinear(SvdLinearConfig),
    /// [`crate::Orthogonal`].
    Orthogonal(OrthogonalConfig),
    /// [`crate::FeatureAffine`].
    FeatureAffine(FeatureAffineConfig),
    /// [`crate::ActNorm`].
    ActNorm(ActNormConfig),
    /// [`crate::BatchNorm`].
    BatchNorm(BatchNormConfig),
    /// [`crate::Gaussianize`].
    Gaussianize(GaussianizeConfig),
    /// [`crate::Scaling`].
    Scaling(ScalingConfig),
    /// [`crate::SpecialConformal`].
    SpecialConformal(SpecialConformalConfig),
    /// [`crate::Inversion`].
    Inversion(InversionConfig),
    /// [`crate::Reshape`].
    Reshape(ReshapeConfig),
    /// [`crate::Squeeze`].
    Squeeze(SqueezeConfig),
    /// [`Pixelwise`]; adds nothing to the names of parameters.
    Pixelwise {
        /// Pixels from top to bottom.
        height: usize,
        /// Pixels from left to right.
        width: usize,
        /// The map of the channels.
        of: Box<Self>,
    },
    /// [`Multiscale`]; parameters are named after the level.
    Multiscale {
        /// Applied first to last by `forward`.
        levels: Vec<Self>,
    },
    /// [`Concat`]; parameters are named after the position.
    Concat {
        /// The maps of consecutive features.
        parts: Vec<Self>,
    },
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
            Self::CircularCoupling(config) => config.build(params)?,
            Self::ImageCoupling(config) => config.build(params)?,
            Self::Autoregressive(config) => config.build(params)?,
            Self::Elementwise(config) => config.build(params)?,
            Self::Function(config) => Arc::new(config.build(params)?),
            Self::TanhMixture(config) => Arc::new(config.build(params)?),
            Self::ResidualBlock(config) => Arc::new(config.build(params)?),
            Self::AngleShift(config) => Arc::new(config.build(params)?),
            Self::Permutation(config) => Arc::new(config.build(params)?),
            Self::LuLinear(config) => Arc::new(config.build(params)?),
            Self::QrLinear(config) => Arc::new(config.build(params)?),
            Self::SvdLinear(config) => Arc::new(config.build(params)?),
            Self::Orthogonal(config) => Arc::new(config.build(params)?),
            Self::FeatureAffine(config) => Arc::new(config.build(params)?),
            Self::ActNorm(config) => Arc::new(config.build(params)?),
            Self::BatchNorm(config) => Arc::new(config.build(params)?),
            Self::Gaussianize(config) => Arc::new(config.build(params)?),
            Self::Scaling(config) => Arc::new(config.build(params)?),
            Self::SpecialConformal(config) => Arc::new(config.build(params)?),
            Self::Inversion(config) => Arc::new(config.build(params)?),
            Self::Reshape(config) => Arc::new(config.build(params)?),
            Self::Squeeze(config) => Arc::new(config.build(params)?),
            Self::Pixelwise { height, width, of } => {
                Arc::new(Pixelwise::new(*height, *width, of.build(params)?)?)
            }
            Self::Multiscale { levels } => {
                Arc::new(Multiscale::new(build_all("levels", levels, params)?)?)
            }
            Self::Concat { parts } => Arc::new(Concat::new(build_all("parts", parts, params)?)?),
            Self::Partial { dim, features, of } => {
                Arc::new(PartialMap::new(*dim, features, of.build(params)?)?)
            }
            Self::Chain { layers } => Arc::new(Chain::new(build_all("layers", layers, params)?)?),
            Self::Inverted { of } => Arc::new(Inverted::new(of.build(params)?)),
        })
    }
}

/// Build a list of bijectors with parameters named after the position; errors name it too.
fn build_all(
    field: &str,
    configs: &[BijectorConfig],
    params: &mut Params<'_>,
) -> Result<Vec<Arc<dyn Bijector>>> {
    let named = |(i, config): (usize, &BijectorConfig)| {
        config.build(&mut params.scope(&i.to_string())).map_err(|e| match e {
            Error::Config { field: inner, reason } => {
                Error::Config { field: format!("{field}.{i}.{inner}"), reason }
            }
            other => other,
        })
    };
    configs.iter().enumerate().map(named).collect()
}
