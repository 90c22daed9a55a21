//! Coordinates of a rolled sheet from its rows alone: what a start costs before any training.
use criterion::{Criterion, criterion_group, criterion_main};
use mflow_benches::must;
use mflow_bijectors::Stream;
use mflow_core::{UnrollMethod, UnrollOptions, unroll};
use mflow_data::{Simulator, SwissRoll};

fn coordinates(c: &mut Criterion) {
    for rows in [10_000, 100_000] {
        let x = must(SwissRoll.sample(rows, &[], &mut Stream::new(1, "rows")));
        let mut group = c.benchmark_group(format!("unroll/rows={rows},D=3"));
        group.sample_size(10);
        for (name, method) in
            [("isomap", UnrollMethod::Isomap), ("alignment", UnrollMethod::TangentAlignment)]
        {
            let options = UnrollOptions { method, ..UnrollOptions::default() };
            group.bench_function(name, |b| b.iter(|| must(unroll(&x, 3, 2, &options))));
        }
        group.finish();
    }
}

criterion_group!(benches, coordinates);
criterion_main!(benches);
