//! The models: [`ModelConfig`], any of them as written in a config or model file, and what they are built
//! into: a `ManifoldModel`, of several charts an `Atlas`, or a `Ratio`.
mod build;
mod config;
mod manifold;
mod off_manifold;
mod parse;
mod ratio;

pub(crate) use build::refuse;
pub use config::{ModelConfig, ModelGroups, ModelParts, ModelSizes};
pub(crate) use manifold::{ManifoldModel, Parts};
pub(crate) use off_manifold::Nothing;
