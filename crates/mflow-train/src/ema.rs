//! An exponential moving average of the weights.
use crate::Result;
use crate::optim::{Float, from_named, in_place, to_named};
use crate::shards::Pool;
#[cfg(feature = "cuda")]
use candle_core::Var;
use candle_core::{DType, Device, Tensor};
#[cfg(feature = "cuda")]
use mflow_bijectors::cuda::optimizer::{Update, update};
use mflow_bijectors::{Code, Parameter, Route, host};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

/// Averages `s` of the weights `θ`, with more weight on recent ones:
///
/// ```text
/// s = d s + (1 - d) θ   after update t,   d = min(decay, t / (t + 9))
/// ```
///
/// so that the first averages are not of the start; 0.9 from `t = 81` on is the least that a decay is
/// usually asked for.
#[derive(Debug)]
pub(crate) struct Ema(Box<dyn Average>);

/// Averages of one dtype, without naming it.
trait Average: Debug + Send + Sync {
    fn update(&mut self, pool: &Pool) -> Result<()>;
    fn swap(&mut self) -> Result<()>;
    fn to_named(&self) -> Result<BTreeMap<String, Tensor>>;
    fn restore(&mut self, named: &BTreeMap<String, Tensor>, updates: u64) -> Result<()>;
}

impl Ema {
    pub(crate) fn new(decay: f64, parameters: Vec<Parameter>) -> Result<Self> {
        let Some(first) = parameters.first().map(|p| p.var.clone()) else {
            return Ok(Self(Box::new(Averages::<f32>::new(decay, parameters)?)));
        };
        Ok(Self(match (Route::Auto.code(first.device()), first.dtype()) {
            (Code::CpuKernel, DType::F64) => Box::new(Averages::<f64>::new(decay, parameters)?),
            (Code::CpuKernel, _) => Box::new(Averages::<f32>::new(decay, parameters)?),
            #[cfg(feature = "cuda")]
            (Code::CudaKernel, _) => Box::new(OnCuda::new(decay, parameters)?),
            _ => Box::new(Composed::new(decay, parameters)?),
        }))
    }
    /// After an update of the weights.
    pub(crate) fn update(&mut self, pool: &Pool) -> Result<()> {
        self.0.update(pool)
    }
    /// Exchange averages and weights; twice is not at all.
    pub(crate) fn swap(&mut self) -> Result<()> {
        self.0.swap()
    }
    /// The averages as named tensors, under `average/`.
    pub(crate) fn to_named(&self) -> Result<BTreeMap<String, Tensor>> {
        self.0.to_named()
    }
    /// The inverse of [`Ema::to_named`], after `updates` updates.
    pub(crate) fn restore(&mut self, named: &BTreeMap<String, Tensor>, updates: u64) -> Result<()> {
        self.0.restore(named, updates)
    }
}

#[derive(Debug)]
struct Averages<T> {
    decay: f64,
    parameters: Vec<Parameter>,
    averages: Vec<Mutex<Vec<T>>>,
    updates: u64,
}

const PREFIX: &str = "average/";

/// The decay of an update, counted from 1.
fn decay_at(decay: f64, update: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "2^52 updates are never reached")]
    let t = update as f64;
    decay.min(t / (t + 9.))
}

impl<T: Float> Averages<T> {
    fn new(decay: f64, parameters: Vec<Parameter>) -> Result<Self> {
        let start = |p: &Parameter| Ok(Mutex::new(host::values::<T>(&p.var)?));
        let averages = parameters.iter().map(start).collect::<Result<_>>()?;
        Ok(Self { decay, parameters, averages, updates: 0 })
    }
}

impl<T: Float> Average for Averages<T> {
    #[expect(clippy::indexing_slicing, reason = "parameters and their averages are as many")]
    fn update(&mut self, pool: &Pool) -> Result<()> {
        self.updates += 1;
        let decay = decay_at(self.decay, self.updates);
        let (keep, take) = (T::from_f64(decay), T::from_f64(1. - decay));
        let updated = pool.map(self.parameters.len(), |k| {
            let mut average = self.averages[k].lock().unwrap_or_else(PoisonError::into_inner);
            let average: &mut [T] = &mut average;
            in_place(&self.parameters[k], |theta: &mut [T]| {
                for (s, theta) in average.iter_mut().zip(theta) {
                    *s = keep * *s + take * *theta;
                }
            })
        });
        updated.into_iter().collect()
    }
    fn swap(&mut self) -> Result<()> {
        for (parameter, average) in self.parameters.iter().zip(&self.averages) {
            let mut average = average.lock().unwrap_or_else(PoisonError::into_inner);
            let average: &mut [T] = &mut average;
            in_place(parameter, |theta: &mut [T]| theta.swap_with_slice(average))?;
        }
        Ok(())
    }
    fn to_named(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut named = BTreeMap::new();
        for (parameter, average) in self.parameters.iter().zip(&self.averages) {
            let average = average.lock().unwrap_or_else(PoisonError::into_inner);
            let average = Tensor::from_slice(&average, average.len(), &Device::Cpu)?;
            named.extend(to_named(parameter, PREFIX, &average)?);
        }
        Ok(named)
    }
    fn restore(&mut self, named: &BTreeMap<String, Tensor>, updates: u64) -> Result<()> {
        for (parameter, average) in self.parameters.iter().zip(&self.averages) {
            let mut average = average.lock().unwrap_or_else(PoisonError::into_inner);
            *average = host::values(&from_named(parameter, PREFIX, named)?)?;
        }
        self.updates = updates;
        Ok(())
    }
}

/// The same as tensors that stay on their device.
#[derive(Debug)]
struct Composed {
    decay: f64,
    parameters: Vec<Parameter>,
    averages: Vec<Tensor>,
    updates: u64,
}

impl Composed {
    fn new(decay: f64, parameters: Vec<Parameter>) -> Result<Self> {
        let averages = parameters.iter().map(|p| Ok(p.var.copy()?.detach()));
        let averages = averages.collect::<Result<_>>()?;
        Ok(Self { decay, parameters, averages, updates: 0 })
    }
}

impl Average for Composed {
    fn update(&mut self, _: &Pool) -> Result<()> {
        self.updates += 1;
        let decay = decay_at(self.decay, self.updates);
        for (parameter, average) in self.parameters.iter().zip(&mut self.averages) {
            let theta = parameter.var.as_detached_tensor();
            *average = ((&*average * decay)? + (theta * (1. - decay))?)?;
        }
        Ok(())
    }
    fn swap(&mut self) -> Result<()> {
        for (parameter, average) in self.parameters.iter().zip(&mut self.averages) {
            let theta = parameter.var.copy()?.detach();
            parameter.var.set(average)?;
            *average = theta;
        }
        Ok(())
    }
    fn to_named(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut named = BTreeMap::new();
        for (parameter, average) in self.parameters.iter().zip(&self.averages) {
            named.extend(to_named(parameter, PREFIX, &host::tensor(average)?)?);
        }
        Ok(named)
    }
    fn restore(&mut self, named: &BTreeMap<String, Tensor>, updates: u64) -> Result<()> {
        for (parameter, average) in self.parameters.iter().zip(&mut self.averages) {
            *average = from_named(parameter, PREFIX, named)?;
        }
        self.updates = updates;
        Ok(())
    }
}

/// The same on a CUDA device: one launch for all parameters, where tensor operations need three for each.
#[cfg(feature = "cuda")]
#[derive(Debug)]
struct OnCuda {
    decay: f64,
    parameters: Vec<Parameter>,
    averages: Vec<Var>,
    updates: u64,
}

#[cfg(feature = "cuda")]
impl OnCuda {
    fn new(decay: f64, parameters: Vec<Parameter>) -> Result<Self> {
        let averages = parameters.iter().map(|p| Var::from_tensor(&p.var.as_detached_tensor()));
        let averages = averages.collect::<candle_core::Result<_>>()?;
        Ok(Self { decay, parameters, averages, updates: 0 })
    }
}

#[cfg(feature = "cuda")]
impl Average for OnCuda {
    fn update(&mut self, _: &Pool) -> Result<()> {
        self.updates += 1;
        let rate = 1. - decay_at(self.decay, self.updates);
        // s = s - (1 - d) (s - θ), a step against the gradient -θ with a decay of 1.
        let step = Update::Sgd { scale: -1., rate, decay: 1., momentum: 0., nesterov: false };
        let all = self.averages.iter().zip(&self.parameters);
        let all: Vec<_> = all.map(|(s, p)| (s, Some(p.var.as_tensor()))).collect();
        Ok(update(&step, &all, &[])?)
    }
    fn swap(&mut self) -> Result<()> {
        for (parameter, average) in self.parameters.iter().zip(&self.averages) {
            let theta = parameter.var.copy()?.detach();
            parameter.var.set(average)?;
            average.set(&theta)?;
        }
        Ok(())
    }
    fn to_named(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut named = BTreeMap::new();
        for (parameter, average) in self.parameters.iter().zip(&self.averages) {
            let average = host::tensor(&average.as_detached_tensor())?;
            named.extend(to_named(parameter, PREFIX, &average)?);
        }
        Ok(named)
    }
    fn restore(&mut self, named: &BTreeMap<String, Tensor>, updates: u64) -> Result<()> {
        for (parameter, average) in self.parameters.iter().zip(&self.averages) {
            average.set(&from_named(parameter, PREFIX, named)?)?;
        }
        self.updates = updates;
        Ok(())
    }
}
