//! An optimizer on the CPU: one pass over gradient, state and parameter together.
use super::update::{Float, Rule, Update};
use super::{Optimizer, from_named, to_named};
use crate::Result;
use crate::shards::Pool;
use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Storage, Tensor, WithDType};
use mflow_bijectors::{Parameter, host};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What is kept of one parameter, laid out like it.
#[derive(Debug)]
struct Slot<T> {
    gradient: Vec<T>,
    /// The buffers of the rule, in its order.
    buffers: Vec<Vec<T>>,
}

/// An optimizer over flat vectors.
#[derive(Debug)]
pub(super) struct Flat<T> {
    rule: Rule,
    parameters: Vec<Parameter>,
    slots: Vec<Mutex<Slot<T>>>,
    steps: u64,
}

impl<T: Float> Flat<T> {
    pub(super) fn new(rule: Rule, parameters: Vec<Parameter>) -> Self {
        let slot = |p: &Parameter| {
            let zero = vec![T::default(); p.var.elem_count()];
            let buffers = vec![zero.clone(); rule.buffers().len()];
            Mutex::new(Slot { gradient: zero, buffers })
        };
        Self { rule, slots: parameters.iter().map(slot).collect(), parameters, steps: 0 }
    }
}

impl<T: Float> Optimizer for Flat<T> {
    #[expect(clippy::indexing_slicing, reason = "parameters, slots and gradients are as many")]
    fn accumulate(&mut self, pool: &Pool, shards: &[Vec<Option<Tensor>>]) -> Result<f64> {
        let squares = pool.map(self.slots.len(), |k| -> Result<f64> {
            let mut slot = self.slots[k].lock().unwrap_or_else(PoisonError::into_inner);
            let gradient = &mut slot.gradient;
            let mut first = true;
            for shard in shards.iter().filter_map(|s| s[k].as_ref()) {
                let shard = shard.contiguous()?;
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

    #[expect(clippy::indexing_slicing, reason = "parameters, slots and gradients are as many")]
    fn step(&mut self, pool: &Pool, rate: f64, scale: f64) -> Result<()> {
        self.steps += 1;
        let update = Update { rule: self.rule, rate, scale, step: self.steps };
        let updated = pool.map(self.parameters.len(), |k| -> Result<()> {
            let mut slot = self.slots[k].lock().unwrap_or_else(PoisonError::into_inner);
            let Slot { gradient, buffers } = &mut *slot;
            in_place(&self.parameters[k], |theta: &mut [T]| update.apply(theta, gradient, buffers))
        });
        updated.into_iter().collect()
    }

    fn to_named(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut named = BTreeMap::new();
        for (parameter, slot) in self.parameters.iter().zip(&self.slots) {
            let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            for (prefix, values) in self.rule.buffers().iter().zip(&slot.buffers) {
                let values = Tensor::from_slice(values, values.len(), &Device::Cpu)?;
                named.extend(to_named(parameter, prefix, &values)?);
            }
        }
        Ok(named)
    }

    fn restore(&mut self, named: &BTreeMap<String, Tensor>, steps: u64) -> Result<()> {
        for (parameter, slot) in self.parameters.iter().zip(&self.slots) {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            for (prefix, values) in self.rule.buffers().iter().zip(&mut slot.buffers) {
                *values = host::values(&from_named(parameter, prefix, named)?)?;
            }
        }
        self.steps = steps;
        Ok(())
    }

    fn steps(&self) -> u64 {
        self.steps
    }
}

/// Change the values of a parameter on the CPU, in place.
pub(crate) fn in_place<T: Float>(
    parameter: &Parameter,
    change: impl FnOnce(&mut [T]) + Send,
) -> Result<()> {
    let var = &parameter.var;
    Ok(var.inplace_op1(&Change(Mutex::new(Some(change)), std::marker::PhantomData))?)
}

/// A change of the values of a tensor, once.
struct Change<T, F>(Mutex<Option<F>>, std::marker::PhantomData<T>);

impl<T: Float, F: FnOnce(&mut [T])> InplaceOp1 for Change<T, F> {
    fn name(&self) -> &'static str {
        "change-in-place"
    }
    #[expect(
        clippy::indexing_slicing,
        reason = "candle says where the elements of a contiguous tensor are in its storage"
    )]
    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (Some((start, end)), Some(theta)) = (layout.contiguous_offsets(), T::cpu_mut(storage))
        else {
            return Err(candle_core::Error::Msg("parameter: strided or of another dtype".into()));
        };
        if let Some(change) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            change(&mut theta[start..end]);
        }
        Ok(())
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "candle says where the elements of a contiguous tensor are in its storage"
)]
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
