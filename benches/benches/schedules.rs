//! One update of each phase of each schedule, for each model that it fits: the power configuration,
//! batch 100 (1000 for divergences), two threads, context on the density. And the Sinkhorn divergence by
//! itself.
#![allow(clippy::indexing_slicing, reason = "a benchmark that panics has failed")]
use criterion::{Criterion, criterion_group, criterion_main};
use mflow_benches::{must, rows};
use mflow_bijectors::{ParamStore, Stream};
use mflow_core::candle::{DType, Device};
use mflow_core::{ChartConfig, ModelConfig};
use mflow_train::{Pool, Rows, Schedule, SinkhornConfig, Stage, TrainConfig, Trainer, sinkhorn};

/// Rows of data: a few batches of the largest size.
const ROWS: usize = 2500;

fn models() -> Vec<ModelConfig> {
    let plane = ChartConfig::LinearSubspace {
        basis: vec![vec![1., 0., 0.], vec![0., 1., 0.]],
        offset: vec![0.; 3],
    };
    vec![
        ModelConfig::af(3),
        ModelConfig::fom(plane),
        ModelConfig::pie(3, 2),
        ModelConfig::m_flow(3, 2),
        ModelConfig::me_flow(3, 2),
        ModelConfig::pae(3, 2),
        ModelConfig::vae(3, 2),
        ModelConfig::rif(3, 2),
    ]
}

fn updates(c: &mut Criterion) {
    let schedules =
        [Schedule::Sequential, Schedule::Simultaneous, Schedule::Ot, Schedule::Likelihood];
    let pool = must(Pool::new(2));
    let values = |dim: usize, purpose: &str| Stream::new(1, purpose).normal(ROWS * dim);
    let context = Some((values(1, "context"), 1));
    let data = must(Rows::new(values(3, "x"), 3, context, DType::F32, &Device::Cpu));
    for model in models() {
        let model = model.with_context(1);
        let mut group = c.benchmark_group(format!("update/{}", model.name()));
        group.sample_size(20);
        for schedule in schedules {
            // What does not fit is no row of the table; a phase in two schedules is one row.
            let Ok(config) = schedule.config(&model, 1000) else { continue };
            for stage in &config.phases {
                let phase = &stage.phases()[0];
                let mut config = TrainConfig::new(vec![stage.clone()]);
                config.shards = 2;
                // Rates of nothing: the weights stay where the timing starts.
                for phase in config.phases.iter_mut().flat_map(Stage::phases_mut) {
                    phase.optimizer.set_learning_rate(1e-9);
                }
                let name = match (schedule, phase.name.as_str()) {
                    (Schedule::Simultaneous, "manifold" | "density") => continue,
                    (_, name) => name.to_owned(),
                };
                let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
                let mut trainer = Trainer {
                    model: &model,
                    store: &mut store,
                    data: &data,
                    validation: None,
                    config: &config,
                    seed: 1,
                    pool: &pool,
                    run: None,
                };
                let mut updates = must(trainer.updates(0));
                group.bench_function(name, |b| b.iter(|| must(updates.step())));
            }
        }
        group.finish();
    }
}

fn divergence(c: &mut Criterion) {
    let mut group = c.benchmark_group("sinkhorn/B=1000,D=3");
    group.sample_size(10);
    let (x, y) = (rows(1000, 3, "x"), rows(1000, 3, "y"));
    for threads in [1, 2] {
        let (pool, config) = (must(Pool::new(threads)), SinkhornConfig::default());
        group.bench_function(format!("threads={threads}"), |b| {
            b.iter(|| must(sinkhorn(&config, &x, &y, &pool)).value);
        });
    }
    group.finish();
}

criterion_group!(benches, updates, divergence);
criterion_main!(benches);
