//! What is fitted and how, as it is written in a file.
use crate::Result;
use mflow_core::candle::DType;
use mflow_core::{DeviceName, ModelConfig, ModelParts, standardize, standardize_weighted};
use mflow_train::TrainConfig;
use serde::{Deserialize, Serialize};

/// A floating-point type, as it is written in a config.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DTypeName {
    /// Single precision: for training.
    #[default]
    F32,
    /// Double precision.
    F64,
}

impl DTypeName {
    /// Single precision, unless the data that the normalisation of `model` is of ask for more
    /// ([`ModelConfig::needs_double`]).
    pub fn of(model: &ModelConfig) -> Self {
        if model.needs_double() { Self::F64 } else { Self::F32 }
    }
}

impl From<DTypeName> for DType {
    fn from(name: DTypeName) -> Self {
        match name {
            DTypeName::F32 => Self::F32,
            DTypeName::F64 => Self::F64,
        }
    }
}

/// How data are normalised before a model sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalize {
    /// Not at all.
    None,
    /// To mean 0 and standard deviation 1 of each feature.
    #[default]
    Standardize,
    /// To mean 0 and standard deviation 1 of all features together, by the same numbers for each: of images, whose
    /// neighbouring pixels are to stay comparable, and some of which may be constant.
    Together,
}

impl Normalize {
    /// `model` with the normalisation of `values: [rows, cols]`, row-major, which count by their weights if they have some, as
    /// part of its decoder.
    ///
    /// # Errors
    /// If a length does not fit, or no weight is other than 0.
    pub fn apply(
        self,
        model: ModelConfig,
        values: &[f64],
        cols: usize,
        weights: Option<&[f64]>,
    ) -> Result<ModelConfig> {
        match self {
            Self::None => Ok(model),
            // A known manifold is given in data units.
            _ if matches!(model.parts, ModelParts::Fom { .. }) => Ok(model),
            Self::Standardize | Self::Together => {
                let each = match weights {
                    Some(weights) => standardize_weighted(values, cols, weights)?,
                    None => standardize(values, cols)?,
                };
                Ok(model.with_normalization(self.units(&each)))
            }
        }
    }
}

/// What to fit and how: everything but the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitConfig {
    /// Seed of all random streams.
    #[serde(default)]
    pub seed: u64,
    /// Precision of parameters and data.
    #[serde(default)]
    pub dtype: DTypeName,
    /// Where it is computed.
    #[serde(default, skip_serializing_if = "DeviceName::is_cpu")]
    pub device: DeviceName,
    /// The model.
    pub model: ModelConfig,
    /// The schedule.
    pub train: TrainConfig,
}
