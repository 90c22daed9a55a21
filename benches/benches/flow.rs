//! The ready-made neural spline flow of couplings: fused kernels beside the composition of tensor
//! operations.
use candle_core::{DType, Device};
use criterion::{Criterion, criterion_group, criterion_main};
use mflow_benches::{gradient, must, rows};
use mflow_bijectors::{FlowConfig, ParamStore, Route};

fn flow(c: &mut Criterion) {
    for dim in [3, 40] {
        for batch in [100, 1000] {
            for (name, route) in [("fused", Route::Auto), ("composed", Route::Composed)] {
                let mut group = c.benchmark_group(format!("nsf/D={dim},B={batch}/{name}"));
                group.sample_size(20);
                let mut config = FlowConfig::nsf_coupling();
                config.route = route;
                let config = must(config.bijector(dim, 0));
                let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
                let tracked = must(store.create(&config));
                let frozen = must(store.build(|_| false, |params| config.build(params)));
                let x = rows(batch, dim, "x");
                group.bench_function("forward", |b| b.iter(|| must(frozen.forward(&x, None))));
                group.bench_function("inverse", |b| b.iter(|| must(frozen.inverse(&x, None))));
                group.bench_function("gradient", |b| {
                    b.iter(|| gradient(&must(tracked.inverse(&x, None))));
                });
                group.finish();
            }
        }
    }
}

criterion_group!(benches, flow);
criterion_main!(benches);
