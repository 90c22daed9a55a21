//! One coupling layer alone: the fused kernel against the composition of tensor operations.
use candle_core::{DType, Device};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use mflow_benches::{gradient, must, rows};
use mflow_bijectors::{CouplingConfig, Dual, Mask, ParamStore, Route};

fn coupling(c: &mut Criterion) {
    for dim in [3, 40] {
        for (name, route) in [("fused", Route::Auto), ("composed", Route::Composed)] {
            let mut group = c.benchmark_group(format!("coupling/D={dim},B=100/{name}"));
            group.sample_size(30);
            let config = CouplingConfig::new(dim, Mask::Even).with_route(route);
            let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
            let tracked = must(store.build(|_| true, |params| config.build(params)));
            let frozen = must(store.build(|_| false, |params| config.build(params)));
            let x = rows(100, dim, "x");
            group.bench_function("forward", |b| b.iter(|| must(frozen.forward(&x, None))));
            group.bench_function("inverse", |b| b.iter(|| must(frozen.inverse(&x, None))));
            group.bench_function("forward_backward", |b| {
                b.iter(|| gradient(&must(tracked.forward(&x, None))));
            });
            let tangents = must(rows(100 * 2, dim, "tangents").reshape((100, 2, dim)));
            let dual = must(Dual::new(x.clone(), tangents));
            group.bench_function("push,K=2", |b| {
                b.iter_batched(
                    || dual.clone(),
                    |dual| must(frozen.push_forward(&dual, None)),
                    BatchSize::SmallInput,
                );
            });
            group.finish();
        }
    }
}

criterion_group!(benches, coupling);
criterion_main!(benches);
