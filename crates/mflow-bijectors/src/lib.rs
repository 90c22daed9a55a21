//! Invertible maps on candle tensors: values, log-determinants and tangents, differentiable.
//!
//! The lowest layer of mflow, usable alone for any normalizing flow. A map is built from a serde
//! config over a seeded [`ParamStore`] and applied through the object-safe trait [`Bijector`];
//! authors of maps implement [`Layer`], one generic body for values and for values with tangents.
//!
//! Not for you if you need non-square maps (see `mflow-core`), training loops (`mflow-train`) or
//! second derivatives by `backward` (candle detaches gradients: use tangents).
//!
//! Architecture invariants: a bijector never reads a file, never picks a device, never draws a random
//! number; arguments are checked once and never cast.
//!
//! ```
//! use mflow_bijectors::{Bijector, ParamStore, Result, SplineFlowConfig, Stream};
//! use mflow_bijectors::candle::{DType, Device};
//!
//! # fn main() -> Result<()> {
//! let mut store = ParamStore::new(7, DType::F64, &Device::Cpu);
//! let flow = SplineFlowConfig::default().bijector(3, 0)?;
//! let flow = store.build(|_| true, |params| flow.build(params))?;
//! let z = Stream::new(7, "latent").normal_tensor(&[4, 3], DType::F64, &Device::Cpu)?;
//! let x = flow.forward(&z, None)?;
//! let back = flow.inverse(&x.value, None)?;
//! let error = (back.value - z)?.abs()?.max_all()?.to_scalar::<f64>()?;
//! assert!(error < 1e-12);
//! # Ok(())
//! # }
//! ```
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;

mod affine;
mod autoregressive;
mod bijector;
mod chain;
mod config;
mod conformal;
mod context_units;
mod count;
mod coupling;
mod diff;
mod domain;
mod elementwise;
mod error;
mod flows;
pub mod host;
mod kernel;
#[cfg(feature = "laws")]
pub mod laws;
mod linear;
mod nflows;
mod nn;
mod noise;
mod norm;
mod numerical;
mod params;
mod printable;
mod route;
mod shape;
mod stream;
mod univariate;

pub use affine::{FeatureAffine, FeatureAffineConfig};
pub use autoregressive::AutoregressiveConfig;
pub use bijector::{Bijector, Direction, Layer, Mapped, Signature};
/// The tensor library; a new major version of it is a breaking change here.
pub use candle_core as candle;
pub use chain::{Chain, Inverted};
pub use config::BijectorConfig;
pub use conformal::{
    Inversion, InversionConfig, Scaling, ScalingConfig, SpecialConformal, SpecialConformalConfig,
};
pub use context_units::ContextUnits;
pub use coupling::{CircularCouplingConfig, CouplingConfig, ImageCouplingConfig, Mask};
pub use diff::{Diff, Dual};
pub use domain::Domain;
pub use elementwise::{
    AngleShift, AngleShiftConfig, ElementwiseConfig, Function, FunctionConfig, FunctionMap,
};
pub use error::{Error, Result};
pub use flows::{
    Dependence, Fast, FlowConfig, GlowConfig, ImageFlowConfig, LinearKind, Norm, SplineFlowConfig,
};
#[cfg(feature = "cuda")]
pub use kernel::cuda;
pub use kernel::gemm;
pub use kernel::{FusedLayer, Jet, Kernel, Pushed, Real, gradients, split};
pub use linear::{
    LuLinear, LuLinearConfig, Order, Orthogonal, OrthogonalConfig, Permutation, PermutationConfig,
    QrLinear, QrLinearConfig, SvdLinear, SvdLinearConfig,
};
pub use nflows::from_nflows;
pub use nn::{Activation, Conditioned, Grid, Linear, Net, NetConfig, NetKind};
pub use noise::{LayerNoise, Noise};
pub use norm::{
    ActNorm, ActNormConfig, BatchNorm, BatchNormConfig, Gaussianize, GaussianizeConfig,
};
pub use numerical::{ResidualBlock, ResidualBlockConfig, TanhMixture, TanhMixtureConfig};
pub use params::{Init, ParamStore, Parameter, Params, Piece};
pub use printable::printable;
pub use route::{Code, Route, compose_everywhere};
pub use shape::{
    Concat, Multiscale, PartialMap, Pixelwise, Reshape, ReshapeConfig, Squeeze, SqueezeConfig,
};
pub use stream::{Stream, fnv1a};
pub use univariate::{
    Additive, Affine, AffineScale, CubicSpline, CudaMap, Gradient, LinearSpline, LogSlopeGradient,
    Point, QuadraticSpline, RationalQuadratic, ScalarMap, Univariate, UnivariateConfig,
};
