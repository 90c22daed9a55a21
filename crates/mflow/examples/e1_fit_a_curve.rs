//! Learn a curve in the plane: fit, project, score and sample in memory.
//!
//! `cargo run --release -p mflow --example e1_fit_a_curve`
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "an example shows its results, and may panic"
)]
use mflow::bijectors::{LinearKind, ParamStore, SplineFlowConfig, Stream};
use mflow::core::candle::{DType, Device};
use mflow::core::{ModelConfig, standardize};
use mflow::train::{Pool, Rows, Schedule, Silent, Trainer};
use std::error::Error;
use std::sync::atomic::AtomicBool;

fn main() -> Result<(), Box<dyn Error>> {
    let toy = std::env::var_os("MFLOW_TOY").is_some();
    // Points on the curve y = sin(x), x standard normal.
    let x = Stream::new(1, "data").normal(if toy { 2_000 } else { 10_000 });
    let points: Vec<f64> = x.iter().flat_map(|x| [*x, x.sin()]).collect();
    let normalization = standardize(&points, 2)?;
    let data = Rows::new(points, 2, None, DType::F32, &Device::Cpu)?;

    let mut flow = SplineFlowConfig::default();
    flow.linear = LinearKind::Lu;
    flow.hidden = 32;
    let model = ModelConfig::m_flow(2, 1)
        .with_outer(flow.clone())
        .with_inner(flow)
        .with_normalization(normalization);
    let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
    let config = Schedule::Sequential.config(&model, if toy { 20 } else { 30 })?;
    let pool = Pool::new(0)?;
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
    trainer.run(&mut Silent, &AtomicBool::new(false))?;

    let model = model.build(&mut store, |_| false)?;
    let samples = model.sample(1_000, None, &mut Stream::new(1, "samples"))?;
    let off = samples.to_vec2::<f32>()?;
    let off: f32 = off.iter().map(|p| (p[1] - p[0].sin()).abs()).sum::<f32>() / 1_000.;
    println!("samples are {off:.4} off the curve, on average");

    // The curve passes the origin with speed √2, so the density along it is that of x over √2.
    let origin = mflow::core::candle::Tensor::zeros((1, 2), DType::F32, &Device::Cpu)?;
    let log_prob = model.log_prob(&origin, None)?.to_vec1::<f32>()?[0];
    println!("log-density at the origin: {log_prob:.2} nats; true: -1.27");
    assert!(off < 0.1, "the curve was not learned");
    assert!((log_prob + 1.27).abs() < 0.5, "the density was not learned");
    Ok(())
}
