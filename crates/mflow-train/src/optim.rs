//! AdamW over flat parameter vectors, with state that can be saved.
use crate::shards::Pool;
use crate::{Error, Result};
use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Storage, Tensor, WithDType};
use mflow_bijectors::Parameter;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

/// AdamW: Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2).
///
/// ```text
/// m = β1 m + (1-β1) g;  v = β2 v + (1-β2) g²
/// θ = (1 - η λ) θ - η (m / (1-β1ᵗ)) / (√(v / (1-β2ᵗ)) + ε)
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct AdamWConfig {
    /// Learning rate η, before the schedule.
    pub learning_rate: f64,
    /// Weight decay λ.
    pub weight_decay: f64,
    /// Decay rate β1 of the first moment.
    pub beta1: f64,
    /// Decay rate β2 of the second moment.
    pub beta2: f64,
    /// ε in the denominator.
    pub epsilon: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { learning_rate: 1e-3, weight_decay: 1e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

impl AdamWConfig {
    pub(crate) fn validate(&self, path: &str) -> Result<()> {
        let range = |name: &str, v: f64, low: f64, high: f64| {
            if v >= low && v < high {
                return Ok(());
            }
            let reason = format!("must be in [{low}, {high}), found {v}");
            Err(Error::config(format!("{path}.{name}"), reason))
        };
        range("learning_rate", self.learning_rate, 0., f64::INFINITY)?;
        range("weight_decay", self.weight_decay, 0., f64::INFINITY)?;
        range("beta1", self.beta1, 0., 1.)?;
        range("beta2", self.beta2, 0., 1.)?;
        range("epsilon", self.epsilon, f64::MIN_POSITIVE, f64::INFINITY)
    }
}

/// Moments of one parameter, laid out like it.
#[derive(Debug)]
struct Moments<T> {
    gradient: Vec<T>,
    first: Vec<T>,
    second: Vec<T>,
}

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
    /// Moments as named tensors, under `moment1/` and `moment2/`.
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

/// An AdamW optimizer of the dtype of `parameters`.
pub fn adamw(config: &AdamWConfig, parameters: Vec<Parameter>) -> Box<dyn Optimizer> {
    match parameters.first().map(|p| p.var.dtype()) {
        Some(DType::F64) => Box::new(AdamW::<f64>::new(config, parameters)),
        _ => Box::new(AdamW::<f32>::new(config, parameters)),
    }
}

/// What the update computes in.
trait Float: WithDType + Default + Debug {
    fn sqrt(self) -> Self;
    /// The data of a CPU storage of this dtype.
    fn cpu_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
}
impl Float for f32 {
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn cpu_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        if let CpuStorage::F32(values) = storage { Some(values) } else { None }
    }
}
impl Float for f64 {
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn cpu_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        if let CpuStorage::F64(values) = storage { Some(values) } else { None }
    }
}

#[derive(Debug)]
struct AdamW<T> {
    config: AdamWConfig,
    parameters: Vec<Parameter>,
    moments: Vec<Mutex<Moments<T>>>,
    steps: u64,
}

impl<T: Float> AdamW<T> {
    fn new(config: &AdamWConfig, parameters: Vec<Parameter>) -> Self {
        let zero = |p: &Parameter| vec![T::default(); p.var.elem_count()];
        let moments =
            |p| Mutex::new(Moments { gradient: zero(p), first: zero(p), second: zero(p) });
        let moments = parameters.iter().map(moments).collect();
        Self { config: config.clone(), moments, parameters, steps: 0 }
    }
}

const MOMENTS: [&str; 2] = ["moment1/", "moment2/"];

impl<T: Float> Optimizer for AdamW<T> {
    fn accumulate(&mut self, pool: &Pool, shards: &[Vec<Option<Tensor>>]) -> Result<f64> {
        let squares = pool.map(self.moments.len(), |k| -> Result<f64> {
            let mut moments = self.moments[k].lock().unwrap_or_else(PoisonError::into_inner);
            let gradient = &mut moments.gradient;
            let mut first = true;
            for shard in shards.iter().filter_map(|s| s[k].as_ref()) {
                let shard = shard.to_device(&Device::Cpu)?.contiguous()?;
                let (storage, layout) = shard.storage_and_layout();
                let values = cpu_slice::<T>(&storage, layout)?;
                if first {
                    gradient.copy_from_slice(values);
                } else {
                    gradient.iter_mut().zip(values).for_each(|(a, b)| *a += *b);
                }
                first = false;
            }
            if first {
                gradient.fill(T::default());
            }
            Ok(sum_of_squares(gradient))
        });
        Ok(squares.into_iter().sum::<Result<f64>>()?.sqrt())
    }

    fn step(&mut self, pool: &Pool, rate: f64, scale: f64) -> Result<()> {
        self.steps += 1;
        let update = Update::new(&self.config, rate, scale, self.steps);
        let updated = pool.map(self.parameters.len(), |k| -> Result<()> {
            let mut moments = self.moments[k].lock().unwrap_or_else(PoisonError::into_inner);
            let var = &self.parameters[k].var;
            if var.device().is_cpu() {
                let op = UpdateOp { update: &update, moments: Mutex::new(&mut moments) };
                return Ok(var.inplace_op1(&op)?);
            }
            let mut values = var.flatten_all()?.to_vec1::<T>()?;
            update.apply(&mut values, &mut moments);
            let values = Tensor::from_vec(values, var.shape(), &Device::Cpu)?;
            Ok(var.set(&values.to_device(var.device())?)?)
        });
        updated.into_iter().collect()
    }

    fn to_named(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut named = BTreeMap::new();
        for (parameter, moments) in self.parameters.iter().zip(&self.moments) {
            let moments = moments.lock().unwrap_or_else(PoisonError::into_inner);
            for (prefix, values) in MOMENTS.iter().zip([&moments.first, &moments.second]) {
                let flat = Tensor::from_slice(values, values.len(), &Device::Cpu)?;
                let tensors = parameter.to_named(&flat)?;
                named.extend(tensors.into_iter().map(|(n, t)| (format!("{prefix}{n}"), t)));
            }
        }
        Ok(named)
    }

    fn restore(&mut self, named: &BTreeMap<String, Tensor>, steps: u64) -> Result<()> {
        for (parameter, moments) in self.parameters.iter().zip(&self.moments) {
            let mut moments = moments.lock().unwrap_or_else(PoisonError::into_inner);
            let find = |prefix: &str| -> Result<Vec<T>> {
                let flat = parameter.from_named(|n| named.get(&format!("{prefix}{n}")))?;
                Ok(flat.to_vec1()?)
            };
            (moments.first, moments.second) = (find(MOMENTS[0])?, find(MOMENTS[1])?);
        }
        self.steps = steps;
        Ok(())
    }

    fn steps(&self) -> u64 {
        self.steps
    }
}

fn cpu_slice<'a, T: WithDType>(storage: &'a Storage, layout: &Layout) -> Result<&'a [T]> {
    match (storage, layout.contiguous_offsets()) {
        (Storage::Cpu(cpu), Some((start, end))) => Ok(&T::cpu_storage_as_slice(cpu)?[start..end]),
        _ => Err(candle_core::Error::Msg("expected a contiguous tensor on the CPU".into()).into()),
    }
}

/// The sum in eight lanes, so that it vectorises; in f64, so that it does not overflow.
fn sum_of_squares<T: Float>(values: &[T]) -> f64 {
    let mut lanes = [0_f64; 8];
    for chunk in values.chunks(8) {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += v.to_f64() * v.to_f64();
        }
    }
    lanes.iter().sum()
}

/// The constants of one update.
#[derive(Clone, Copy)]
struct Update {
    scale: f64,
    beta1: f64,
    beta2: f64,
    keep: f64,
    rate: f64,
    second_correction: f64,
    epsilon: f64,
}

impl Update {
    fn new(config: &AdamWConfig, rate: f64, scale: f64, step: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "2^52 steps are never reached")]
        let t = step as f64;
        Self {
            scale,
            beta1: config.beta1,
            beta2: config.beta2,
            keep: 1. - rate * config.weight_decay,
            rate: rate / (1. - config.beta1.powf(t)),
            second_correction: 1. / (1. - config.beta2.powf(t)),
            epsilon: config.epsilon,
        }
    }

    /// One pass: gradient, both moments and parameter of an element together.
    fn apply<T: Float>(&self, theta: &mut [T], moments: &mut Moments<T>) {
        let c = T::from_f64;
        let (scale, keep, rate) = (c(self.scale), c(self.keep), c(self.rate));
        let (b1, b2, rest1, rest2) =
            (c(self.beta1), c(self.beta2), c(1. - self.beta1), c(1. - self.beta2));
        let (correction, epsilon) = (c(self.second_correction), c(self.epsilon));
        let Moments { gradient, first, second } = moments;
        for (((theta, g), m), v) in theta.iter_mut().zip(gradient).zip(first).zip(second) {
            let g = *g * scale;
            *m = b1 * *m + rest1 * g;
            *v = b2 * *v + rest2 * g * g;
            *theta = keep * *theta - rate * *m / ((*v * correction).sqrt() + epsilon);
        }
    }
}

struct UpdateOp<'a, T> {
    update: &'a Update,
    moments: Mutex<&'a mut Moments<T>>,
}

impl<T: Float> InplaceOp1 for UpdateOp<'_, T> {
    fn name(&self) -> &'static str {
        "adamw"
    }
    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (Some((start, end)), Some(theta)) = (layout.contiguous_offsets(), T::cpu_mut(storage))
        else {
            return Err(candle_core::Error::Msg("adamw: strided or of another dtype".into()));
        };
        let mut moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        self.update.apply(&mut theta[start..end], &mut moments);
        Ok(())
    }
}

/// shim
pub type OptimizerConfig = AdamWConfig;
impl AdamWConfig {
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate
    }
}
pub(crate) fn optimizer(config: &AdamWConfig, p: Vec<Parameter>) -> Box<dyn Optimizer> {
    adamw(config, p)
}
impl AdamWConfig {
    /// shim
    pub fn set_learning_rate(&mut self, rate: f64) {
        self.learning_rate = rate;
    }
}
