//! Training steps of the power configuration, beside the time of their matrix products alone.
//!
//! `fused`, `composed`: loss, gradient, clipping and AdamW through 10 coupling layers. `gemm_bound`:
//! the same matrix products, the same shapes per shard, one independent stream per thread.
#![allow(clippy::indexing_slicing, reason = "a benchmark that panics has failed")]
use criterion::{Criterion, criterion_group, criterion_main};
use mflow_benches::{Gemms, PowerFlows, must, power_products, rows};
use mflow_bijectors::Route;
use mflow_train::{Pool, shards};
use std::sync::Mutex;

fn nll_step(c: &mut Criterion) {
    for threads in [1, 2] {
        let pool = must(Pool::new(threads));
        for batch in [100, 1000] {
            let mut group = c.benchmark_group(format!("nll_step/B={batch},threads={threads}"));
            group.sample_size(40);
            let (x, context) = (rows(batch, 3, "x"), rows(batch, 1, "context"));
            for (name, route) in [("fused", Route::Auto), ("composed", Route::Composed)] {
                let mut flows = PowerFlows::new(route);
                group.bench_function(name, |b| b.iter(|| flows.step(&pool, &x, &context)));
            }
            let n = shards(batch, threads);
            let (outer, inner) = power_products();
            let both = [outer, inner].concat();
            let stream = |_| Mutex::new(Gemms::new(&both, batch / n, true));
            let streams: Vec<Mutex<Gemms>> = (0..n).map(stream).collect();
            group.bench_function("gemm_bound", |b| {
                b.iter(|| pool.map(n, |i| must(must(streams[i].lock()).run())));
            });
            group.finish();
        }
    }
}

criterion_group!(benches, nll_step);
criterion_main!(benches);
