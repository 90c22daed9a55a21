//! Optimizers over flat parameter vectors, with state that can be saved.
mod composed;
mod config;
#[cfg(feature = "cuda")]
mod cuda;
mod flat;
mod update;

pub use config::{AdamConfig, AdamWConfig, OptimizerConfig, SgdConfig};
pub(crate) use flat::in_place;
pub(crate) use update::Float;

use crate::Result;
use crate::shards::Pool;
use candle_core::{DType, Tensor};
use composed::Composed;
use flat::Flat;
use mflow_bijectors::{Code, Parameter, Route};
use std::collections::BTreeMap;
use std::fmt::Debug;
use update::Rule;

/// An optimizer over parameters of one dtype, without naming the dtype.
pub trait Optimizer: Debug + Send + Sync {
    /// Sum gradients over shards, in order, and return the norm of all of them together.
    ///
    /// # Errors
    /// If a gradient cannot be read.
    fn accumulate(&mut self, pool: &Pool, shards: &[Vec<Option<Tensor>>]) -> Result<f64>;
    /// One update with the accumulated gradients times `scale`, at learning rate `rate`.
    ///
    /// # Errors
    /// If a parameter cannot be written.
    fn step(&mut self, pool: &Pool, rate: f64, scale: f64) -> Result<()>;
    /// What it keeps from step to step, as named tensors: under `moment1/` and `moment2/`, or under
    /// `momentum/`.
    ///
    /// # Errors
    /// If a tensor operation fails.
    fn to_named(&self) -> Result<BTreeMap<String, Tensor>>;
    /// The inverse of [`Optimizer::to_named`], after `steps` updates.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    fn restore(&mut self, named: &BTreeMap<String, Tensor>, steps: u64) -> Result<()>;
    /// Number of updates so far.
    fn steps(&self) -> u64;
}

/// The optimizer that `config` says, of the dtype and for the device of `parameters`.
pub fn optimizer(config: &OptimizerConfig, parameters: Vec<Parameter>) -> Box<dyn Optimizer> {
    let rule = config.rule();
    let Some(first) = parameters.first().map(|p| &p.var) else {
        return Box::new(Flat::<f32>::new(rule, parameters));
    };
    match (Route::Auto.code(first.device()), first.dtype()) {
        (Code::CpuKernel, DType::F64) => Box::new(Flat::<f64>::new(rule, parameters)),
        (Code::CpuKernel, _) => Box::new(Flat::<f32>::new(rule, parameters)),
        #[cfg(feature = "cuda")]
        (Code::CudaKernel, _) => Box::new(cuda::OnCuda::new(rule, parameters)),
        _ => Box::new(Composed::new(rule, parameters)),
    }
}

/// The sum over shards, in order, of their `k`-th gradients; `None` where no shard has one.
#[expect(clippy::indexing_slicing, reason = "a gradient, or none, for each parameter")]
fn shard_sum(shards: &[Vec<Option<Tensor>>], k: usize) -> Result<Option<Tensor>> {
    let mut sum: Option<Tensor> = None;
    for shard in shards.iter().filter_map(|s| s[k].as_ref()) {
        sum = Some(match sum {
            Some(sum) => (sum + shard)?,
            None => shard.clone(),
        });
    }
    Ok(sum)
}

/// The buffers of `rule`, each of all parameters, `[E]`, from named tensors, on the device of the parameters.
fn buffers_from_named(
    rule: Rule,
    parameters: &[Parameter],
    named: &BTreeMap<String, Tensor>,
) -> Result<Vec<Tensor>> {
    let buffer = |prefix: &&str| -> Result<Tensor> {
        let parts = parameters.iter().map(|p| from_named(p, prefix, named));
        Ok(Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0)?)
    };
    rule.buffers().iter().map(buffer).collect()
}

/// A vector laid out like `parameter`, as named tensors under `prefix`.
pub(crate) fn to_named(
    parameter: &Parameter,
    prefix: &str,
    flat: &Tensor,
) -> Result<Vec<(String, Tensor)>> {
    let named = parameter.to_named(flat)?;
    Ok(named.into_iter().map(|(n, t)| (format!("{prefix}{n}"), t)).collect())
}

/// The inverse of [`to_named`], on the device of the parameter.
pub(crate) fn from_named(
    parameter: &Parameter,
    prefix: &str,
    named: &BTreeMap<String, Tensor>,
) -> Result<Tensor> {
    Ok(parameter.from_named(|n| named.get(&format!("{prefix}{n}")))?)
}
