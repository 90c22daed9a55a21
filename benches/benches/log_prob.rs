//! Exact density on a manifold of dimension 2 in R³, the power configuration, beside the time of its
//! matrix products alone.
//!
//! Per point: `f⁻¹` and `h⁻¹`, then `f` with two tangents: `(1 + 2)` passes and a contraction of the
//! last layer.
#![allow(clippy::indexing_slicing, reason = "a benchmark that panics has failed")]
use candle_core::{DType, Device};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mflow_benches::{Gemms, must, power_products, rows};
use mflow_bijectors::ParamStore;
use mflow_core::ModelConfig;
use mflow_train::{EVALUATION_ROWS, Pool};
use std::sync::Mutex;

const POINTS: usize = 10_000;

fn log_prob(c: &mut Criterion) {
    for threads in [1, 2] {
        let pool = must(Pool::new(threads));
        let mut group = c.benchmark_group(format!("log_prob/(3,2),threads={threads}"));
        group.sample_size(20).throughput(Throughput::Elements(POINTS as u64));
        let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
        let model = ModelConfig::m_flow(3, 2).with_context(1).build(&mut store, |_| false);
        let model = must(model);
        let (x, context) = (rows(POINTS, 3, "x"), rows(POINTS, 1, "context"));
        group.bench_function("exact", |b| {
            b.iter(|| {
                must(pool.by_rows(x.device(), POINTS, |r| {
                    let context = context.narrow(0, r.start, r.len())?;
                    model.log_prob(&x.narrow(0, r.start, r.len())?, Some(&context))
                }))
            });
        });
        let (outer, inner) = power_products();
        // Once for each of f⁻¹, h⁻¹ and f, and two more rows per point for the tangents.
        let passes = [outer.clone(), inner, outer.clone(), outer.clone(), outer].concat();
        let blocks = POINTS / EVALUATION_ROWS / threads;
        let stream = |_| Mutex::new(Gemms::new(&passes, EVALUATION_ROWS, false));
        let streams: Vec<Mutex<Gemms>> = (0..threads).map(stream).collect();
        group.bench_function("gemm_bound", |b| {
            b.iter(|| {
                pool.map(threads, |i| {
                    let mut stream = must(streams[i].lock());
                    (0..blocks).for_each(|_| must(stream.run()));
                })
            });
        });
        group.finish();
    }
}

criterion_group!(benches, log_prob);
criterion_main!(benches);
