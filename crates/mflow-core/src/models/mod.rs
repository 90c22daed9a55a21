//! The models: [`ModelConfig`], any of them as written in a config or model file, and
//! [`ManifoldModel`], what they are built into.
mod build;
mod config;
mod manifold;
mod pie;
mod rif;
mod vae;

pub use config::{ModelConfig, ModelGroups, ModelParts, ModelSizes};
pub use manifold::ManifoldModel;
