#![doc = include_str!("../README.md")]
//!
//! # Architecture invariants
//!
//! A model never knows how it is trained. Normalisation of data is part of the decoder, so every density is in data units. The
//! manifold density, the distance to the manifold and the density of coordinates have different names.
mod atlas;
mod atomic;
mod autoencoder;
mod base;
mod bounded;
mod chart;
mod device;
mod embedding;
mod error;
mod file;
mod flow;
mod frame;
mod generator;
mod gram;
#[cfg(feature = "laws")]
pub mod laws;
mod model;
mod models;
mod network;
mod normalize;
mod principal;
mod refined;
mod tangents;
mod unroll;

pub use atlas::{ChartFrame, Charts, place_charts};
pub use atomic::{create_folder, is_part, remove_parts, write_atomically};
pub use base::{BaseDensity, StandardNormal, UniformAngles};
pub use candle_core as candle;
pub use chart::{
    Chart, ChartConfig, FlatTorus, Graph, GraphFunction, Hypersphere, LinearSubspace,
    Stereographic, Torus, ZeroPadding,
};
pub use device::DeviceName;
pub use embedding::{ChartedFlow, Embedding, PaddedFlow};
pub use error::{Error, Result};
pub use file::{
    ChosenColumns, FORMAT_VERSION, LoadedModel, ModelCard, RowLayout, TensorFile, load_model,
    load_model_bytes, model_bytes, read_tensors, save_model, write_tensors,
};
pub use flow::{CircularFlowConfig, CustomFlowConfig, VectorFlowConfig};
pub use generator::{
    FixedInputs, Generator, GeneratorConfig, GeneratorLayer, Nearest, NearestConfig,
};
pub use gram::gram_log_det;
pub use model::{CycleError, Density, LogProbGradient, Model, ModelSignature, Part, Projected};
pub use models::{ModelConfig, ModelGroups, ModelParts, ModelSizes};
pub use network::{ImageNetConfig, NetworkConfig};
pub use normalize::{
    coarse_column, standardize, standardize_blocks, standardize_weighted,
    standardize_weighted_blocks,
};
pub use principal::PrincipalAxes;
pub use tangents::TANGENT_MEMORY;
pub use unroll::{
    LinearSpan, UnrollMethod, UnrollOptions, Unrolled, UnrolledPiece, linear_rank, linear_span,
    unroll,
};
