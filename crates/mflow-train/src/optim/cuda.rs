//! An optimizer on a CUDA device: one launch changes all parameters, however many layers they belong to.
use super::update::{Adam, Rule, Update};
use super::{Optimizer, buffers_from_named, shard_sum, to_named};
use crate::Result;
use crate::shards::Pool;
use candle_core::{Tensor, Var};
use mflow_bijectors::{Parameter, cuda::optimizer as kernels, host};
use std::collections::BTreeMap;

/// An optimizer whose buffers stay on the device. Only the norm of the gradient leaves it.
#[derive(Debug)]
pub(super) struct OnCuda {
    rule: Rule,
    parameters: Vec<Parameter>,
    /// The accumulated gradient of each parameter, contiguous; none for one that is zero.
    gradients: Vec<Option<Tensor>>,
    /// The buffers of the rule in its order, `[E]` each; none before the first update, when they are zero.
    buffers: Vec<Var>,
    steps: u64,
}

impl OnCuda {
    pub(super) fn new(rule: Rule, parameters: Vec<Parameter>) -> Self {
        let gradients = vec![None; parameters.len()];
        Self { rule, parameters, gradients, buffers: vec![], steps: 0 }
    }

    /// The buffers as they are, made of zeros where there are none yet.
    fn buffers(&self) -> candle_core::Result<Vec<Var>> {
        let all: usize = self.parameters.iter().map(|p| p.var.elem_count()).sum();
        match self.parameters.first().map(|p| &p.var) {
            Some(var) if self.buffers.is_empty() => {
                let zeros = |_: &&str| Var::zeros(all, var.dtype(), var.device());
                self.rule.buffers().iter().map(zeros).collect()
            }
            _ => Ok(self.buffers.clone()),
        }
    }
}

impl Optimizer for OnCuda {
    fn accumulate(&mut self, _: &Pool, shards: &[Vec<Option<Tensor>>]) -> Result<f64> {
        let of = |k| -> Result<Option<Tensor>> {
            let sum = shard_sum(shards, k)?;
            // Without its graph, which would stay until the next gradient.
            sum.map(|sum| Ok(sum.contiguous()?.detach())).transpose()
        };
        self.gradients = (0..self.parameters.len()).map(of).collect::<Result<_>>()?;
        let present: Vec<_> = self.gradients.iter().flatten().collect();
        if present.is_empty() {
            return Ok(0.);
        }
        Ok(host::scalar(&kernels::norm(&present)?)?)
    }

    fn step(&mut self, _: &Pool, rate: f64, scale: f64) -> Result<()> {
        self.buffers = self.buffers()?;
        self.steps += 1;
        let update = Update { rule: self.rule, rate, scale, step: self.steps };
        let both = self.parameters.iter().zip(&self.gradients);
        let both: Vec<_> = both.map(|(p, gradient)| (&p.var, gradient.as_ref())).collect();
        Ok(kernels::update(&of_kernels(&update), &both, &self.buffers)?)
    }

    fn to_named(&self) -> Result<BTreeMap<String, Tensor>> {
        let mut named = BTreeMap::new();
        for (prefix, buffer) in self.rule.buffers().iter().zip(self.buffers()?) {
            // One read for all parameters.
            let buffer = host::tensor(&buffer.as_detached_tensor())?;
            let mut start = 0;
            for parameter in &self.parameters {
                let len = parameter.var.elem_count();
                named.extend(to_named(parameter, prefix, &buffer.narrow(0, start, len)?)?);
                start += len;
            }
        }
        Ok(named)
    }

    fn restore(&mut self, named: &BTreeMap<String, Tensor>, steps: u64) -> Result<()> {
        let buffers = buffers_from_named(self.rule, &self.parameters, named)?;
        self.buffers = buffers.iter().map(Var::from_tensor).collect::<candle_core::Result<_>>()?;
        self.steps = steps;
        Ok(())
    }

    fn steps(&self) -> u64 {
        self.steps
    }
}

/// An update as the kernels take it.
fn of_kernels(update: &Update) -> kernels::Update {
    let Update { rule, rate, scale, .. } = *update;
    match rule {
        Rule::Adam { decoupled, decay, beta1, beta2, epsilon } => {
            let Adam { keep, decay, rate, correction } =
                update.adam(decoupled, decay, beta1, beta2);
            kernels::Update::Adam { scale, rate, keep, decay, correction, beta1, beta2, epsilon }
        }
        Rule::Sgd { decay, momentum, nesterov } => {
            kernels::Update::Sgd { scale, rate, decay, momentum, nesterov }
        }
    }
}
