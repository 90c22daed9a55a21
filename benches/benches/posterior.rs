//! The log-posterior of 20 observed rows at one parameter, the power configuration on a manifold of dimension 2 in
//! R³: what a step of a chain costs, with the volume of the manifold and without it, and what its gradient
//! adds.
use candle_core::{DType, Device};
use criterion::{Criterion, criterion_group, criterion_main};
use mflow_benches::must;
use mflow_bijectors::{ParamStore, Stream};
use mflow_core::ModelConfig;
use mflow_data::{PolynomialSurface, Simulator};
use mflow_eval::Posterior;
use mflow_eval::mcmc::{DifferentiableTarget, Target};
use mflow_eval::metrics::Evaluated;
use mflow_train::Pool;

const ROWS: usize = 20;

fn posterior(c: &mut Criterion) {
    let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
    let model = ModelConfig::m_flow(3, 2).with_context(1).build(&mut store, |_| false);
    let (model, pool) = (must(model), must(Pool::new(1)));
    let of = Evaluated { model: model.as_ref(), pool: &pool };
    let surface = PolynomialSurface;
    let x = surface.sample(ROWS, &[0.; ROWS], &mut Stream::new(1, "observed"));
    let (x, prior) = (must(x), &surface.priors()[..]);
    let routes = [
        ("coordinates", must(Posterior::new(of, prior, &x))),
        ("with_volume", must(Posterior::with_volume(of, prior, &x))),
    ];
    for (name, posterior) in &routes {
        let mut group = c.benchmark_group(format!("posterior/rows={ROWS}/{name}"));
        group.sample_size(30);
        group.bench_function("log_prob", |b| b.iter(|| must(posterior.log_prob(&[0.3]))));
        let mut gradient = [0.];
        group.bench_function("gradient", |b| {
            b.iter(|| must(posterior.log_prob_and_gradient(&[0.3], &mut gradient)));
        });
        group.finish();
    }
}

criterion_group!(benches, posterior);
criterion_main!(benches);
