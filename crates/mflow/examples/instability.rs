//! Why maximum likelihood alone does not find a manifold: a line in the plane with two parameters, its
//! angle and the width of the density on it, fitted to data on the axis `x_2`.
//!
//! Brehmer & Cranmer (2020), section 3.A. `cargo xtask instability` runs it and keeps what it finds in
//! `docs/results/instability.md`. By hand, with an optional folder for `instability.json` and
//! `instability.png`: `cargo run --release -p mflow --example instability -- FOLDER`
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "an example shows its results, and may panic"
)]
use mflow::bijectors::candle::{DType, Device, Tensor};
use mflow::bijectors::{BijectorConfig, OrthogonalConfig, ParamStore, ScalingConfig, Stream};
use mflow::core::{Model, ModelConfig};
use mflow::eval::figures::{CurveStyle, Series, draw_curves};
use mflow::train::{AdamWConfig, Optimizer, Pool, optimizer};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How the two parameters are fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Training {
    /// Both by the likelihood of the projected data.
    Likelihood,
    /// The angle by the reconstruction error, then the width by the likelihood.
    Sequential,
}

/// The model after some updates.
#[derive(Clone, Copy, Debug, Serialize)]
struct Row {
    training: Training,
    update: usize,
    /// Degrees between the line and the data.
    angle: f64,
    /// Standard deviation of the density on the line.
    width: f64,
    /// Mean log-likelihood of the data, projected, in nats.
    log_prob: f64,
    /// Root mean square distance of the data to the line.
    error: f64,
}

/// Data: pairs `(0, ±t)` with `t` standard normal, so that nothing but the two parameters has a
/// gradient.
fn data() -> Result<Tensor> {
    let t = Stream::new(1, "data").normal(500);
    let x: Vec<f64> = t.iter().flat_map(|t| [0., *t, 0., -*t]).collect();
    Ok(Tensor::from_vec(x, (1000, 2), &Device::Cpu)?)
}

/// A line through the origin, the image of the first axis under a reflection, and a scaled normal density
/// on it: an M-flow of two parameters.
fn model() -> ModelConfig {
    let reflection = OrthogonalConfig::new(2).with_reflections(1);
    ModelConfig::m_flow(2, 1)
        .with_outer(BijectorConfig::Orthogonal(reflection))
        .with_inner(BijectorConfig::Scaling(ScalingConfig::new(1)))
}

/// Parameters at the start: a line of this angle to the data, in degrees, a density of width 1.
fn start(angle: f64) -> Result<ParamStore> {
    let mut store = ParamStore::new(1, DType::F64, &Device::Cpu);
    model().build(&mut store, |_| true)?;
    // The reflection that swaps the first axis and the line lies half-way between them.
    let (sin, cos) = ((90. - angle).to_radians() / 2.).sin_cos();
    let vector = Tensor::from_vec(vec![-sin, cos], (1, 2), &Device::Cpu)?;
    let mut named: BTreeMap<String, Tensor> = store.to_named()?;
    let name = "outer.q_vectors".to_owned();
    assert!(named.contains_key(&name), "the parameters are {:?}", named.keys());
    named.insert(name, vector);
    store.assign(&named)?;
    Ok(store)
}

fn scalar(t: &Tensor) -> Result<f64> {
    Ok(t.to_scalar::<f64>()?)
}

fn row(training: Training, update: usize, model: &dyn Model, x: &Tensor) -> Result<Row> {
    let ends = Tensor::from_vec(vec![0., 1.], (2, 1), &Device::Cpu)?;
    let ends = model.decode(&ends, None)?.to_vec2::<f64>()?;
    let (a, b) = (ends[1][0] - ends[0][0], ends[1][1] - ends[0][1]);
    let error = model.reconstruction_error(x, None)?.sqr()?.mean_all()?;
    Ok(Row {
        training,
        update,
        angle: a.abs().atan2(b.abs()).to_degrees(),
        width: a.hypot(b),
        log_prob: scalar(&model.log_prob(x, None)?.mean_all()?)?,
        error: scalar(&error)?.sqrt(),
    })
}

/// Fit from a line of `angle` degrees to the data, in `updates` updates on all data.
fn fit(training: Training, angle: f64, updates: usize) -> Result<Vec<Row>> {
    let (x, pool) = (data()?, Pool::new(1)?);
    let mut store = start(angle)?;
    let all = model().build(&mut store, |_| true)?;
    let parameters: Vec<_> = store.parameters().cloned().collect();
    let vars: Vec<_> = parameters.iter().map(|p| p.var.clone()).collect();
    let mut config = AdamWConfig::default();
    (config.learning_rate, config.weight_decay) = (0.01, 0.);
    let mut adam: Box<dyn Optimizer> = optimizer(&config.clone().into(), parameters);
    let mut rows = vec![row(training, 0, all.as_ref(), &x)?];
    for update in 1..=updates {
        let loss = match training {
            Training::Likelihood => all.log_prob(&x, None)?.mean_all()?.neg()?,
            Training::Sequential if 2 * update <= updates => {
                all.reconstruction_error(&x, None)?.sqr()?.mean_all()?
            }
            Training::Sequential => {
                let u = all.coordinates(&x, None)?.detach();
                all.coordinate_log_prob(&u, None)?.mean_all()?.neg()?
            }
        };
        let mut gradients = loss.backward()?;
        let gradients = vars.iter().map(|v| gradients.remove(v)).collect();
        adam.accumulate(&pool, &[gradients])?;
        adam.step(&pool, config.learning_rate, 1.)?;
        rows.push(row(training, update, all.as_ref(), &x)?);
    }
    Ok(rows)
}

fn draw(rows: &[Row], path: &Path) -> Result<()> {
    let of = |training: Training, name: &str, y: fn(&Row) -> f64| Series {
        name: name.to_owned(),
        points: rows
            .iter()
            .filter(|row| row.training == training)
            .map(|row| (row.update as f64, y(row)))
            .collect(),
    };
    let series = [
        of(Training::Likelihood, "likelihood alone: log-likelihood, nats", |r| r.log_prob),
        of(Training::Sequential, "M/D sequential: log-likelihood, nats", |r| r.log_prob),
        of(Training::Likelihood, "likelihood alone: distance to the data", |r| r.error),
        of(Training::Sequential, "M/D sequential: distance to the data", |r| r.error),
    ];
    let style = CurveStyle {
        title: "A line fitted to data on an axis".into(),
        x_label: "update".into(),
        y_label: "nats; data units".into(),
        ..CurveStyle::default()
    };
    Ok(draw_curves(&series, &[], &style, path)?)
}

fn main() -> Result<()> {
    // Small enough to need no smaller size.
    let (angle, updates) = (20., 400);
    let mut rows = fit(Training::Likelihood, angle, updates)?;
    rows.extend(fit(Training::Sequential, angle, updates)?);
    for training in [Training::Likelihood, Training::Sequential] {
        let Some(end) = rows.iter().rfind(|row| row.training == training) else { continue };
        let Row { angle, width, log_prob, error, .. } = end;
        println!(
            "{training:?}: {angle:.2} degrees from the data, width {width:.3}, mean log-likelihood \
             {log_prob:.2} nats, distance {error:.3}"
        );
        // Likelihood gains without end from turning away, and loses every point by it.
        match training {
            Training::Likelihood => assert!(*angle > 80. && *error > 0.9, "{end:?}"),
            Training::Sequential => assert!(*angle < 1. && *error < 0.02, "{end:?}"),
        }
    }
    if let Some(folder) = std::env::args_os().nth(1) {
        let folder = Path::new(&folder);
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("instability.json"), serde_json::to_string_pretty(&rows)?)?;
        draw(&rows, &folder.join("instability.png"))?;
    }
    Ok(())
}
