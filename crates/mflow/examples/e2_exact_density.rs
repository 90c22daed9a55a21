//! Exact density on a known surface: a short fit of the polynomial surface against the simulator.
//!
//! `cargo run --release -p mflow --example e2_exact_density`
#![expect(clippy::print_stdout, reason = "an example shows its results")]
use mflow::bijectors::{LinearKind, ParamStore, SplineFlowConfig, Stream};
use mflow::core::candle::{DType, Device};
use mflow::core::{ModelConfig, standardize};
use mflow::data::{PolynomialSurface, Simulator};
use mflow::eval::metrics::{Evaluated, chart_kl, log_likelihood_gap, reconstruction_error};
use mflow::train::{Pool, Rows, Schedule, Silent, Trainer};
use std::error::Error;
use std::sync::atomic::AtomicBool;

fn main() -> Result<(), Box<dyn Error>> {
    let toy = std::env::var_os("MFLOW_TOY").is_some();
    let rows = if toy { 4_000 } else { 20_000 };
    let surface = PolynomialSurface;
    let mut stream = Stream::new(1, "data");
    let parameters = surface.sample_prior(rows, &mut stream);
    let x = surface.sample(rows, &parameters, &mut stream)?;
    let normalization = standardize(&x, 3)?;
    let data = Rows::new(x, 3, Some((parameters, 1)), DType::F32, &Device::Cpu)?;

    let mut flow = SplineFlowConfig::default();
    flow.linear = LinearKind::Lu;
    flow.hidden = 32;
    let model = ModelConfig::m_flow(3, 2)
        .with_context(1)
        .with_outer(flow.clone())
        .with_inner(flow)
        .with_normalization(normalization);
    let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
    let config = Schedule::Sequential.config(&model, if toy { 20 } else { 30 })?;
    let pool = Pool::new(0)?;
    Trainer {
        model: &model,
        store: &mut store,
        data: &data,
        validation: None,
        config: &config,
        seed: 1,
        pool: &pool,
        run: None,
    }
    .run(&mut Silent, &AtomicBool::new(false))?;

    let model = model.build(&mut store, |_| false)?;
    let of = Evaluated { model: model.as_ref(), pool: &pool };
    let theta = vec![0.; 2_000];
    let test = surface.sample(2_000, &theta, &mut Stream::new(1, "test"))?;
    let error = reconstruction_error(of, &test, &theta)?;
    println!("reconstruction error          {error}");
    println!("log-likelihood gap [nats]     {}", log_likelihood_gap(of, &surface, &test, &theta)?);
    let kl = chart_kl(of, &surface, 0., 2_000, &mut Stream::new(1, "chart"))?;
    println!("KL(model || truth) [nats]     {kl}");
    assert!(error.value < 0.2, "the surface was not learned");
    Ok(())
}
