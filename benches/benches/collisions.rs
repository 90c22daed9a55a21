//! What collisions cost: adapting the generator, drawing events with and without features and scores, the nearest point of
//! the manifold, and the density of an event, which is an integral.
#![allow(clippy::indexing_slicing, reason = "a benchmark that panics has failed")]
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mflow_benches::must;
use mflow_bijectors::Stream;
use mflow_data::Simulator;
use mflow_data::wbf::{Generator, Settings, WeakBosonFusion};

const EVENTS: usize = 1000;
const DENSITIES: usize = 20;

fn collisions(c: &mut Criterion) {
    let mut group = c.benchmark_group("collisions");
    group.sample_size(10);
    group.bench_function("adapt", |b| b.iter(|| Generator::new(Settings::default())));

    let simulator = WeakBosonFusion::default();
    let generator = simulator.generator();
    let mut stream = Stream::new(1, "events");
    let theta = simulator.sample_prior(EVENTS, &mut stream);
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function("events", |b| {
        b.iter(|| {
            generator.events(EVENTS, |row| [theta[2 * row], theta[2 * row + 1]], &mut stream)
        });
    });
    group.bench_function("rows", |b| {
        b.iter(|| must(simulator.sample(EVENTS, &theta, &mut stream)));
    });
    group.bench_function("rows_with_scores", |b| {
        b.iter(|| must(simulator.sample_joint(EVENTS, &theta, &theta, &mut stream)));
    });

    let x = must(simulator.sample(EVENTS, &theta, &mut Stream::new(2, "events")));
    group.bench_function("nearest", |b| b.iter(|| must(simulator.project(&x))));
    let (x, theta) = (&x[..DENSITIES * simulator.data_dim()], &theta[..2 * DENSITIES]);
    group.throughput(Throughput::Elements(DENSITIES as u64));
    group.bench_function("log_prob", |b| b.iter(|| must(simulator.log_prob(x, theta))));
    group.finish();
}

criterion_group!(benches, collisions);
criterion_main!(benches);
