//! Manifold-learning flows: embeddings, base densities, models and model files.
//!
//! A model is built from a serde config over a parameter store, or loaded from one file, and asked
//! through the trait [`Model`]: exact density on the manifold, projection, latents, samples.
//!
//! Architecture invariants: a model never knows how it is trained; normalisation of data is part of
//! the decoder, so every density is in data units; the manifold density, the distance to the manifold
//! and the density of coordinates have different names.
//!
//! ```
//! use mflow_core::candle::{DType, Device};
//! use mflow_core::{Model, ModelConfig, Result};
//! use mflow_bijectors::{ParamStore, Stream};
//!
//! # fn main() -> Result<()> {
//! let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
//! let model = ModelConfig::m_flow(3, 2).build(&mut store, |_| true)?;
//! let x = model.sample(5, None, &mut Stream::new(1, "sample"))?;
//! let log_prob = model.log_prob(&x, None)?; // [5], nats
//! assert_eq!(log_prob.dims(), [5]);
//! # Ok(())
//! # }
//! ```
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
mod model;
mod models;
mod network;
mod normalize;
mod principal;
mod refined;
mod unroll;

pub use atlas::{ChartFrame, Charts, place_charts};
pub use atomic::write_atomically;
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
    read_tensors, save_model, write_tensors,
};
pub use flow::{CircularFlowConfig, CustomFlowConfig, VectorFlowConfig};
pub use generator::{
    FixedInputs, Generator, GeneratorConfig, GeneratorLayer, Nearest, NearestConfig,
};
pub use gram::gram_log_det;
pub use model::{CycleError, Density, LogProbGradient, Model, ModelSignature, Part, Projected};
pub use models::{ModelConfig, ModelGroups, ModelParts, ModelSizes};
pub use normalize::{
    coarse_column, standardize, standardize_blocks, standardize_weighted,
    standardize_weighted_blocks,
};
pub use principal::PrincipalAxes;
pub use unroll::{
    LinearSpan, UnrollMethod, UnrollOptions, Unrolled, UnrolledPiece, linear_rank, linear_span,
    unroll,
};
