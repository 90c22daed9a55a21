//! A small problem: a model, data on a curve or a plane, a schedule; and observers.
use mflow_bijectors::{Activation, LinearKind, ParamStore, SplineFlowConfig, Stream};
use mflow_core::candle::{DType, Tensor};
use mflow_core::{ChartConfig, ModelConfig, standardize};
use mflow_train::{
    EpochMetrics, Loss, Observer, Outcome, Phase, Pool, Progress, Result, Rows, RunDir, Stage,
    TrainConfig, Trainer, WeightedLoss,
};
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use crate::device::device;

/// Two couplings of 5 bins, conditioners of one block of width 8.
pub(crate) fn small_flow() -> SplineFlowConfig {
    let mut config = SplineFlowConfig::default();
    (config.layers, config.bins, config.tail_bound) = (2, 5, 4.);
    (config.hidden, config.blocks, config.activation) = (8, 1, Activation::Silu);
    config
}

pub(crate) fn reconstruction() -> Vec<WeightedLoss> {
    vec![WeightedLoss { loss: Loss::reconstruction(), weight: 100. }]
}
pub(crate) fn likelihood() -> Vec<WeightedLoss> {
    vec![WeightedLoss { loss: Loss::coordinate_likelihood(), weight: 1. }]
}
pub(crate) fn manifold(epochs: usize) -> Phase {
    Phase::new("manifold", &["outer"], reconstruction(), epochs)
}
pub(crate) fn density(epochs: usize) -> Phase {
    Phase::new("density", &["inner"], likelihood(), epochs)
}

#[derive(Debug)]
pub(crate) struct Toy {
    pub(crate) model: ModelConfig,
    pub(crate) data: Rows,
    pub(crate) validation: Option<Rows>,
    pub(crate) config: TrainConfig,
    pub(crate) seed: u64,
    /// Seed of the weights. Two couplings can only bend the plane along some permutations, so each
    /// problem has a seed whose permutations let it.
    pub(crate) weights: u64,
    pub(crate) threads: usize,
    pub(crate) dtype: DType,
}

impl Toy {
    /// Points on a parabola in the plane, standardised; fixed number of shards.
    pub(crate) fn parabola(rows: usize, phases: Vec<impl Into<Stage>>) -> Self {
        let t = Stream::new(1, "parabola").normal(rows);
        let x: Vec<f64> = t.iter().flat_map(|t| [*t, 2. + 0.7 * t * t]).collect();
        let normalization = standardize(&x, 2).unwrap();
        let model = ModelConfig::m_flow(2, 1)
            .with_outer(small_flow())
            .with_inner(small_flow())
            .with_normalization(normalization);
        let mut config = TrainConfig::new(phases);
        (config.shards, config.validation_fraction) = (2, 0.1);
        Self {
            model,
            data: Rows::new(x, 2, None, DType::F64, device()).unwrap(),
            validation: None,
            config,
            seed: 3,
            weights: 4,
            threads: 1,
            dtype: DType::F64,
        }
    }

    /// Points around a closed curve in space at `[t; rows]`, standardised, with noise: an ellipse that
    /// leaves its plane. Its model is one of circles.
    pub(crate) fn loop_in_space(t: &[f64], noise: f64, phases: Vec<impl Into<Stage>>) -> Self {
        let noise = Stream::new(1, "loop").normal(3 * t.len()).into_iter().map(|v| noise * v);
        let on_curve = t.iter().flat_map(|t| [2. * t.cos(), 1. + t.sin(), 0.4 * (2. * t).sin()]);
        let x: Vec<f64> = on_curve.zip(noise).map(|(x, e)| x + e).collect();
        let mut outer = small_flow();
        (outer.layers, outer.hidden, outer.linear) = (3, 16, LinearKind::Lu);
        let model = ModelConfig::m_flow_on(ChartConfig::named("circle").unwrap(), 3)
            .with_outer(outer)
            .with_normalization(standardize(&x, 3).unwrap());
        let data = Rows::new(x, 3, None, DType::F64, device()).unwrap();
        Self { model, data, weights: 3, ..Self::parabola(20, phases) }
    }

    /// A bent sheet in space that moves with a context, without normalisation.
    pub(crate) fn sheet(rows: usize, phases: Vec<impl Into<Stage>>) -> Self {
        let mut stream = Stream::new(1, "sheet");
        let (u, c) = (stream.normal(2 * rows), stream.uniform(rows, -1., 1.));
        let point = |(u, c): (&[f64], &f64)| [u[0], 0.5 * u[1] + 0.3 * c, (u[0] + c).sin()];
        let x: Vec<f64> = u.chunks(2).zip(&c).flat_map(point).collect();
        let model = ModelConfig::m_flow(3, 2)
            .with_outer(small_flow())
            .with_inner(small_flow())
            .with_context(1)
            .with_conditional_manifold();
        let data = Rows::new(x, 3, Some((c, 1)), DType::F64, device()).unwrap();
        Self { model, data, weights: 2, ..Self::parabola(4, phases) }
    }

    pub(crate) fn store(&self) -> ParamStore {
        ParamStore::new(self.weights, self.dtype, device())
    }

    pub(crate) fn train(
        &self,
        store: &mut ParamStore,
        run: Option<&RunDir>,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Outcome> {
        self.train_by(&Pool::new(self.threads).unwrap(), store, run, observer, stop)
    }

    /// [`Toy::train`] by these threads and their team.
    pub(crate) fn train_by(
        &self,
        pool: &Pool,
        store: &mut ParamStore,
        run: Option<&RunDir>,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Outcome> {
        let (model, config, seed) = (&self.model, &self.config, self.seed);
        let (data, validation) = (&self.data, self.validation.as_ref().map(|v| v as _));
        Trainer { model, store, data, validation, config, seed, pool, run }.run(observer, stop)
    }

    /// Train to the end without a folder.
    pub(crate) fn finish(&self) -> (ParamStore, Record) {
        let (mut store, mut record) = (self.store(), Record::default());
        let outcome = self.train(&mut store, None, &mut record, &AtomicBool::new(false)).unwrap();
        assert_eq!(outcome, Outcome::Finished, "nobody stops it");
        (store, record)
    }
}

/// Remembers everything.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) losses: Vec<f64>,
    pub(crate) epochs: Vec<EpochMetrics>,
}

impl Observer for Record {
    fn batch(&mut self, progress: Progress<'_>) {
        self.losses.push(progress.loss);
    }
    fn epoch(&mut self, metrics: &EpochMetrics) {
        self.epochs.push(metrics.clone());
    }
}

/// Raises the flag after some batches.
#[derive(Debug)]
pub(crate) struct StopAfter<'a> {
    pub(crate) batches: usize,
    pub(crate) stop: &'a AtomicBool,
}

impl Observer for StopAfter<'_> {
    fn batch(&mut self, _: Progress<'_>) {
        self.batches -= 1;
        if self.batches == 0 {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

pub(crate) fn numbers(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// All parameters of `group` (all with an empty one), with their bits.
pub(crate) fn bits(store: &ParamStore, group: &str) -> Vec<(String, Vec<u64>)> {
    let some = store.parameters().filter(|p| p.name.starts_with(group));
    let one = |p: &mflow_bijectors::Parameter| {
        let values = numbers(p.var.as_tensor());
        (p.name.clone(), values.iter().map(|v| v.to_bits()).collect())
    };
    some.map(one).collect()
}
