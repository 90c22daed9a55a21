//! The models: [`ModelConfig`], any of them as written in a config or model file, and what they are built
//! into, a `ManifoldModel`, or of several charts an `Atlas`.
mod build;
mod config;
mod manifold;
mod off_manifold;

pub(crate) use build::refuse;
pub use config::{ModelConfig, ModelGroups, ModelParts, ModelSizes};
pub(crate) use manifold::{ManifoldModel, Parts};
pub(crate) use off_manifold::Nothing;
