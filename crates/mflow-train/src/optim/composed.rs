//! An optimizer as a composition of tensor operations: off the CPU, and without its kernel.
use super::update::Rule;
use super::{Optimizer, buffers_from_named, shard_sum, to_named};
use crate::Result;
use crate::shards::Pool;
use candle_core::{DType, Tensor};
use mflow_bijectors::{Parameter, host};
use std::collections::BTreeMap;

/// All parameters as one flat vector, so that an update is a few operations, however many layers there are. It stays on
/// its device, but for the norm of the gradient.
#[derive(Debug)]
pub(super) struct Composed {
    rule: Rule,
    parameters: Vec<Parameter>,
    /// The accumulated gradients, `[E]`; none before the first.
    gradient: Option<Tensor>,
    /// The buffers of the rule in its order, `[E]` each; none before the first update, when they are zero.
    buffers: Vec<Tensor>,
    steps: u64,
}

impl Composed {
    pub(super) fn new(rule: Rule, parameters: Vec<Parameter>) -> Self {
        Self { rule, parameters, gradient: None, buffers: vec![], steps: 0 }
    }

    /// The part of `all: [E]` that belongs to each parameter.
    fn parts(&self, all: &Tensor) -> Result<Vec<Tensor>> {
        let mut start = 0;
        let parts = self.parameters.iter().map(|p| {
            let len = p.var.elem_count();
            start += len;
            Ok(all.narrow(0, start - len, len)?.reshape(p.var.shape())?)
        });
        parts.collect()
    }

    /// The vector that a rule subtracts from the parameters `theta` before it adds decoupled decay; changes the buffers.
    fn change(&mut self, theta: &Tensor, gradient: &Tensor, rate: f64) -> Result<Tensor> {
        Ok(match (self.rule, self.buffers.as_mut_slice()) {
            (Rule::Adam { decoupled, decay, beta1, beta2, epsilon }, [first, second]) => {
                let gradient = decayed(gradient, theta, if decoupled { 0. } else { decay })?;
                *first = ((&*first * beta1)? + (&gradient * (1. - beta1))?)?;
                *second = ((&*second * beta2)? + (gradient.sqr()? * (1. - beta2))?)?;
                #[expect(clippy::cast_precision_loss, reason = "2^52 steps are never reached")]
                let t = self.steps as f64;
                let (rate, correction) = (rate / (1. - beta1.powf(t)), 1. / (1. - beta2.powf(t)));
                ((&*first * rate)? / ((&*second * correction)?.sqrt()? + epsilon)?)?
            }
            (Rule::Sgd { decay, momentum, nesterov }, [buffer]) => {
                let gradient = decayed(gradient, theta, decay)?;
                *buffer = ((&*buffer * momentum)? + &gradient)?;
                let step = match nesterov {
                    true => (gradient + (&*buffer * momentum)?)?,
                    false => buffer.clone(),
                };
                (step * rate)?
            }
            (Rule::Sgd { decay, .. }, _) => (decayed(gradient, theta, decay)? * rate)?,
            // As many buffers as the rule has: they are made by its own list.
            (Rule::Adam { .. }, _) => theta.zeros_like()?,
        })
    }
}

/// `gradient + decay theta`.
fn decayed(gradient: &Tensor, theta: &Tensor, decay: f64) -> Result<Tensor> {
    Ok(if decay == 0. { gradient.clone() } else { (gradient + (theta * decay)?)? })
}

/// `|t|`, without overflow of the squares.
fn norm(t: &Tensor) -> Result<f64> {
    let least =
        if t.dtype() == DType::F64 { f64::MIN_POSITIVE } else { f64::from(f32::MIN_POSITIVE) };
    let top = t.abs()?.max_all()?.maximum(least)?;
    let squares = t.broadcast_div(&top)?.sqr()?.sum_all()?;
    Ok(host::scalar(&(squares.sqrt()? * top)?)?)
}

impl Optimizer for Composed {
    fn accumulate(&mut self, _: &Pool, shards: &[Vec<Option<Tensor>>]) -> Result<f64> {
        let of = |(k, parameter): (usize, &Parameter)| -> Result<Tensor> {
            match shard_sum(shards, k)? {
                Some(sum) => Ok(sum.flatten_all()?),
                None => Ok(parameter.var.zeros_like()?.flatten_all()?),
            }
        };
        let all = self.parameters.iter().enumerate().map(of).collect::<Result<Vec<_>>>()?;
        let all = Tensor::cat(&all, 0)?.detach();
        let norm = norm(&all)?;
        self.gradient = Some(all);
        Ok(norm)
    }

    fn step(&mut self, _: &Pool, rate: f64, scale: f64) -> Result<()> {
        self.steps += 1;
        let flat = |p: &Parameter| p.var.as_detached_tensor().flatten_all();
        let theta = self.parameters.iter().map(flat).collect::<candle_core::Result<Vec<_>>>()?;
        let theta = Tensor::cat(&theta, 0)?;
        let gradient = match &self.gradient {
            Some(gradient) if scale == 1. => gradient.clone(),
            Some(gradient) => (gradient * scale)?,
            None => theta.zeros_like()?,
        };
        while self.buffers.len() < self.rule.buffers().len() {
            self.buffers.push(theta.zeros_like()?);
        }
        let change = self.change(&theta, &gradient, rate)?;
        let kept = match self.rule {
            Rule::Adam { decoupled: true, decay, .. } => (theta * (1. - rate * decay))?,
            _ => theta,
        };
        let parts = self.parts(&(kept - change)?)?;
        for (parameter, part) in self.parameters.iter().zip(parts) {
            parameter.var.set(&part)?;
        }
        Ok(())
    }

    fn to_named(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut named = BTreeMap::new();
        for (k, prefix) in self.rule.buffers().iter().enumerate() {
            for (i, parameter) in self.parameters.iter().enumerate() {
                let part = match self.buffers.get(k) {
                    Some(buffer) => self.parts(buffer)?.swap_remove(i),
                    None => parameter.var.zeros_like()?,
                };
                named.extend(to_named(parameter, prefix, &host::tensor(&part)?)?);
            }
        }
        Ok(named)
    }

    fn restore(&mut self, named: &BTreeMap<String, Tensor>, steps: u64) -> Result<()> {
        self.buffers = buffers_from_named(self.rule, &self.parameters, named)?;
        self.steps = steps;
        Ok(())
    }

    fn steps(&self) -> u64 {
        self.steps
    }
}
