//! One thing to time, as `cargo xtask bench --compare` asks every library for it.
use crate::{Gemms, Product, must};
use mflow_bijectors::{FlowConfig, LinearKind, NetConfig, ParamStore, SplineFlowConfig, Stream};
use mflow_core::candle::{DType, Device};
use mflow_core::{DeviceName, Model, ModelConfig, VectorFlowConfig};
use mflow_train::{Pool, Rows, Schedule, Stage, TrainConfig, Trainer, evaluation_blocks, shards};
use serde::{Deserialize, Serialize};
use std::sync::Mutex;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// An update of a flow on all of `R^D` by maximum likelihood.
    NllStep,
    /// The density of a flow on all of `R^D`.
    LogProb,
    /// Samples of a flow on all of `R^D`.
    Sample,
    /// An update of `f` by the reconstruction error.
    ManifoldStep,
    /// An update of `h` by maximum likelihood.
    DensityStep,
    /// An update of `f` and `h` by both, with the exact volume term.
    JointStep,
    /// The density on the manifold.
    ExactLogProb,
}

/// A case: architecture, batch, threads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What is timed.
    pub quantity: Quantity,
    /// Number of features `D`.
    pub dim: usize,
    /// Dimension `N` of the manifold, 0 where there is none.
    pub manifold: usize,
    /// Number of context features.
    pub context: usize,
    /// Number of rows.
    pub batch: usize,
    /// Layers of the flow; of `f` in an M-flow.
    pub layers: usize,
    /// Layers of `h`.
    pub inner_layers: usize,
    /// Linear maps between the layers.
    pub linear: LinearKind,
    /// Spline couplings or masked affine layers.
    pub map: Map,
    /// Hidden width of the conditioners.
    pub hidden: usize,
    /// Residual blocks of the conditioners.
    pub blocks: usize,
    /// Bins of the splines.
    pub bins: usize,
    /// Half the width of the box of the splines.
    pub tail_bound: f64,
    /// Number of threads.
    pub threads: usize,
    /// Where it is computed.
    #[serde(default)]
    pub device: DeviceName,
    /// Only the matrix products that the case cannot do without.
    #[serde(default)]
    pub bound: bool,
}

/// The layers of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Map {
    /// Rational-quadratic couplings.
    Spline,
    /// Masked affine autoregressive layers.
    Maf,
}

/// What a repetition of a case cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Work {
    /// Additions and multiplications of its matrix products.
    pub flops: f64,
    /// Bytes of its inputs, results and parameters, in f32.
    pub bytes: f64,
}

/// Something to repeat.
pub type Repeat = Box<dyn FnMut()>;

impl Case {
    fn flow(&self, layers: usize) -> VectorFlowConfig {
        if self.map == Map::Maf {
            let mut maf = FlowConfig::maf();
            (maf.layers, maf.net) = (layers, NetConfig::mlp(self.hidden, 1));
            return maf.into();
        }
        let mut flow = SplineFlowConfig::default();
        (flow.layers, flow.linear, flow.bins) = (layers, self.linear, self.bins);
        (flow.hidden, flow.blocks, flow.tail_bound) = (self.hidden, self.blocks, self.tail_bound);
        flow.into()
    }

    fn model(&self) -> ModelConfig {
        let config = match self.manifold {
            0 => ModelConfig::af(self.dim).with_inner(self.flow(self.layers)),
            n => ModelConfig::m_flow(self.dim, n)
                .with_outer(self.flow(self.layers))
                .with_inner(self.flow(self.inner_layers)),
        };
        config.with_context(self.context)
    }

    /// Everything that one repetition needs, made once.
    ///
    /// # Errors
    /// If the case asks for something that there is not.
    pub fn open(&self) -> Result<Repeat, String> {
        let device = &self.device.open(DType::F32).map_err(|e| e.to_string())?;
        let mut repeat = match self.quantity {
            _ if self.bound && !self.device.is_cpu() => {
                return Err("the bound is that of the CPU".to_owned());
            }
            _ if self.bound => self.bound(),
            Quantity::NllStep => self.step(Schedule::Likelihood, "likelihood", device),
            Quantity::ManifoldStep => self.step(Schedule::Sequential, "manifold", device),
            Quantity::DensityStep => self.step(Schedule::Sequential, "density", device),
            Quantity::JointStep => self.step(Schedule::Simultaneous, "joint", device),
            Quantity::LogProb | Quantity::ExactLogProb => self.log_prob(device),
            Quantity::Sample => self.sample(device),
        }?;
        let device = device.clone();
        Ok(Box::new(move || {
            repeat();
            // What was launched is done only now.
            must(device.synchronize());
        }))
    }

    /// An update of the trainer, as in a run, data and shuffling included.
    fn step(&self, schedule: Schedule, phase: &str, device: &Device) -> Result<Repeat, String> {
        let model = self.model();
        let config = schedule.config(&model, 1_000_000).map_err(|e| e.to_string())?;
        let of_phase = |stage: &&Stage| stage.phases()[0].name == phase;
        let stage = config.phases.iter().find(of_phase).ok_or("no such phase")?.clone();
        let mut config = TrainConfig::new(vec![stage]);
        config.shards = self.threads;
        for phase in config.phases.iter_mut().flat_map(Stage::phases_mut) {
            phase.batch_size = self.batch;
            // Rates of nothing: the weights stay where the timing starts.
            phase.optimizer.set_learning_rate(1e-9);
        }
        let rows = 4 * self.batch;
        let values = |dim: usize, purpose: &str| Stream::new(1, purpose).normal(rows * dim);
        let context = (self.context > 0).then(|| (values(self.context, "context"), self.context));
        let data = Rows::new(values(self.dim, "x"), self.dim, context, DType::F32, device)
            .map_err(|e| e.to_string())?;
        // What an update borrows lives as long as the process, which ends with its cases.
        let (model, data, config) = (leak(model), leak(data), leak(config));
        let pool = leak(Pool::new(self.threads).map_err(|e| e.to_string())?);
        let store = leak(ParamStore::new(1, DType::F32, device));
        let trainer = leak(Trainer {
            model,
            store,
            data,
            validation: None,
            config,
            seed: 1,
            pool,
            run: None,
        });
        let mut updates = trainer.updates(0).map_err(|e| e.to_string())?;
        Ok(Box::new(move || {
            must(updates.step());
        }))
    }

    fn build(&self, device: &Device) -> Result<Box<dyn Model>, String> {
        let mut store = ParamStore::new(1, DType::F32, device);
        self.model().build(&mut store, |_| false).map_err(|e| e.to_string())
    }

    fn log_prob(&self, device: &Device) -> Result<Repeat, String> {
        let (model, case) = (self.build(device)?, self.clone());
        let pool = Pool::new(self.threads).map_err(|e| e.to_string())?;
        let rows = |dim, purpose| must(crate::rows(self.batch, dim, purpose).to_device(device));
        let x = rows(self.dim, "x");
        let context = (self.context > 0).then(|| rows(self.context, "context"));
        Ok(Box::new(move || {
            must(pool.by_rows(x.device(), case.batch, |r| {
                let part = context.as_ref().map(|c| c.narrow(0, r.start, r.len())).transpose()?;
                model.log_prob(&x.narrow(0, r.start, r.len())?, part.as_ref())
            }));
        }))
    }

    fn sample(&self, device: &Device) -> Result<Repeat, String> {
        let (model, rows) = (self.build(device)?, self.batch);
        let pool = Pool::new(self.threads).map_err(|e| e.to_string())?;
        let context = (self.context > 0)
            .then(|| must(crate::rows(rows, self.context, "context").to_device(device)));
        let mut stream = Stream::new(1, "sample");
        Ok(Box::new(move || {
            let latent = must(model.sample_latent(rows, &mut stream));
            must(pool.by_rows(latent.device(), rows, |r| {
                let part = context.as_ref().map(|c| c.narrow(0, r.start, r.len())).transpose()?;
                model.decode(&latent.narrow(0, r.start, r.len())?, part.as_ref())
            }));
        }))
    }

    /// The matrix products of a flow with `tangents` per point: these are rows of the same products but for
    /// the last of each conditioner, which is contracted once for each point with the derivative of the map.
    fn products(&self, dim: usize, layers: usize, context: usize, tangents: usize) -> Vec<Product> {
        let (hidden, per) = (self.hidden, 3 * self.bins - 1);
        let coupling = |i: usize| {
            let moved = if i.is_multiple_of(2) { dim.div_ceil(2) } else { dim / 2 };
            let all = |inputs, outputs| Product { inputs, outputs, rows: 1 + tangents };
            let once = |inputs, outputs| Product { inputs, outputs, rows: 1 };
            let mut products = vec![all(dim - moved + context, hidden)];
            for _ in 0..self.blocks {
                products.extend([all(hidden, hidden), all(hidden, hidden)]);
                if context > 0 {
                    products.push(once(context, hidden));
                }
            }
            if self.linear == LinearKind::Lu {
                products.extend([all(dim, dim), all(dim, dim)]);
            }
            let last = once(hidden, per * moved);
            products.extend(std::iter::repeat_n(last, if tangents > 0 { 2 } else { 1 }));
            products
        };
        (0..layers).flat_map(coupling).collect()
    }

    /// The products of all passes over a batch, and whether gradients go back through them.
    fn passes(&self) -> Result<(Vec<Product>, bool), String> {
        if self.map == Map::Maf {
            return Err("no bound was worked out for masked networks".into());
        }
        let n = self.manifold;
        let context = if n == 0 { self.context } else { 0 };
        let f = || self.products(self.dim, self.layers, context, 0);
        let h = || self.products(n, self.inner_layers, self.context, 0);
        let exact = || [f(), h(), self.products(self.dim, self.layers, context, n)].concat();
        Ok(match self.quantity {
            Quantity::NllStep => (f(), true),
            Quantity::LogProb | Quantity::Sample => (f(), false),
            Quantity::ManifoldStep => (f().repeat(2), true),
            // The coordinates are found once in a run.
            Quantity::DensityStep => (h(), true),
            Quantity::JointStep => (exact(), true),
            Quantity::ExactLogProb => (exact(), false),
        })
    }

    /// What one repetition cannot do without.
    ///
    /// # Errors
    /// If the case asks for something that there is not, or nobody worked it out.
    pub fn work(&self) -> Result<Work, String> {
        let (passes, backward) = self.passes()?;
        let multiplications = |p: &Product| (p.rows * p.inputs * p.outputs * self.batch) as f64;
        let once = 2.0 * passes.iter().map(multiplications).sum::<f64>();
        let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
        self.model().build(&mut store, |_| false).map_err(|e| e.to_string())?;
        let used = match self.quantity {
            Quantity::ManifoldStep => "outer",
            Quantity::DensityStep => "inner",
            _ => "",
        };
        let used = store.parameters().filter(|parameter| parameter.name.starts_with(used));
        let parameters: usize = used.map(|parameter| parameter.var.elem_count()).sum();
        let (point, context, manifold) = (self.dim, self.context, self.manifold);
        let (row, visits) = match self.quantity {
            // An update reads a parameter and its two moments, and writes them.
            Quantity::NllStep | Quantity::JointStep => (point + context, 6),
            Quantity::ManifoldStep => (point, 6),
            Quantity::DensityStep => (manifold + context, 6),
            Quantity::LogProb | Quantity::ExactLogProb => (point + context + 1, 1),
            Quantity::Sample => (point + context, 1),
        };
        Ok(Work {
            flops: if backward { 3.0 * once } else { once },
            bytes: (4 * (self.batch * row + parameters * visits)) as f64,
        })
    }

    /// The matrix products alone, one independent stream per thread: the time that no implementation
    /// with these products can go below.
    fn bound(&self) -> Result<Repeat, String> {
        let (passes, backward) = self.passes()?;
        let blocks = if backward {
            shards(self.batch, self.threads)
        } else {
            evaluation_blocks(self.batch, &Device::Cpu)
        };
        let stream = |_| Mutex::new(Gemms::new(&passes, self.batch / blocks, backward));
        let streams: Vec<Mutex<Gemms>> = (0..self.threads).map(stream).collect();
        let pool = Pool::new(self.threads).map_err(|e| e.to_string())?;
        let threads = self.threads;
        Ok(Box::new(move || {
            pool.map(threads, |i| {
                let mut stream = must(streams[i].lock());
                (i..blocks).step_by(threads).for_each(|_| must(stream.run()));
            });
        }))
    }
}

fn leak<T>(value: T) -> &'static mut T {
    Box::leak(Box::new(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(quantity: Quantity) -> Case {
        Case {
            quantity,
            dim: 4,
            manifold: 0,
            context: 0,
            batch: 10,
            layers: 1,
            inner_layers: 0,
            linear: LinearKind::Permutation,
            map: Map::Spline,
            hidden: 8,
            blocks: 1,
            bins: 3,
            tail_bound: 6.0,
            threads: 1,
            device: DeviceName::Cpu,
            bound: false,
        }
    }

    /// One coupling that keeps 2 of 4 features: 2 x 8, twice 8 x 8, and 8 x 16 weights, with their biases.
    #[test]
    fn work_is_counted_as_by_hand() {
        let products = 2 * 8 + 2 * 8 * 8 + 8 * 16;
        let parameters = products + 8 + 2 * 8 + 16;
        let density = case(Quantity::LogProb).work().unwrap();
        assert_eq!(density.flops, f64::from(2 * 10 * products));
        assert_eq!(density.bytes, f64::from(4 * (10 * 5 + parameters)));
        let step = case(Quantity::NllStep).work().unwrap();
        assert_eq!(step.flops, 3.0 * density.flops);
        assert_eq!(step.bytes, f64::from(4 * (10 * 4 + 6 * parameters)));
        let maf = Case { map: Map::Maf, ..case(Quantity::LogProb) };
        assert!(maf.work().unwrap_err().contains("masked"));
    }

    #[test]
    fn steps_of_one_part_count_its_parameters_alone() {
        let of = |quantity| Case { manifold: 2, inner_layers: 1, ..case(quantity) }.work().unwrap();
        let whole = of(Quantity::JointStep).bytes;
        for part in [Quantity::ManifoldStep, Quantity::DensityStep] {
            assert!(of(part).bytes > 0.0 && of(part).bytes < whole, "{part:?}");
        }
    }
}
