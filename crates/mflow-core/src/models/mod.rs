//! The models, and [`ModelConfig`], any of them as written in a config or model file.
mod m_flow;

pub use m_flow::{MFlow, MFlowConfig};

use crate::{Model, Result};
use mflow_bijectors::{FeatureAffineConfig, ParamStore};
use serde::{Deserialize, Serialize};

/// Any model, as it is written in a config file: `kind` names it, the rest are its fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ModelConfig {
    /// [`MFlow`].
    MFlow(MFlowConfig),
}

impl ModelConfig {
    /// Build over `store`. Parameters whose name (such as `outer.3`) `trained` rejects are frozen:
    /// they share their storage with other builds but cost no backward.
    ///
    /// # Errors
    /// If a field is out of range or a loaded parameter does not fit.
    pub fn build(
        &self,
        store: &mut ParamStore,
        trained: impl Fn(&str) -> bool,
    ) -> Result<Box<dyn Model>> {
        match self {
            Self::MFlow(config) => Ok(Box::new(config.build(store, trained)?)),
        }
    }

    /// The name of the model on the command line and in tables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MFlow(_) => "m-flow",
        }
    }

    /// The same model with another normalisation of data.
    #[must_use]
    pub fn with_normalization(self, normalization: FeatureAffineConfig) -> Self {
        match self {
            Self::MFlow(config) => Self::MFlow(config.with_normalization(normalization)),
        }
    }

    /// The normalisation of data that is part of the decoder.
    pub fn normalization(&self) -> Option<&FeatureAffineConfig> {
        match self {
            Self::MFlow(config) => config.normalization.as_ref(),
        }
    }
}
