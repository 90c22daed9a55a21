//! How well deep flows invert: the error of round trips through 10 to 100 spline couplings, in f32 and
//! f64, with the weights they start with, random ones and trained ones.
//!
//! `cargo xtask stability` runs it and keeps what it finds in `docs/results/stability.md`. By hand, with
//! an optional folder for `stability.json` and `stability.png`:
//! `cargo run --release -p mflow --example stability -- FOLDER`
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "an example shows its results, and may panic"
)]
use mflow::bijectors::candle::{D, DType, Device, Tensor};
use mflow::bijectors::{
    Bijector, BijectorConfig, Chain, CouplingConfig, Diff, Dual, Inverted, Mask, NetConfig,
    ParamStore, PermutationConfig, Stream,
};
use mflow::core::{BaseDensity, StandardNormal};
use mflow::eval::figures::{CurveStyle, Series, draw_curves};
use mflow::train::{AdamWConfig, LrSchedule, Pool, optimizer};
use serde::Serialize;
use std::f64::consts::{PI, TAU};
use std::path::Path;
use std::sync::Arc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What is measured, and how long is trained.
#[derive(Clone, Debug, Serialize)]
struct Study {
    dims: Vec<usize>,
    depths: Vec<usize>,
    seeds: u64,
    /// Latents of a round trip.
    points: usize,
    /// Updates of the trained weights, with a batch of fresh points each.
    steps: usize,
    batch: usize,
}

/// The scale of random weights: standard normal numbers over `√inputs`, and half of that for biases.
const GAIN: f64 = 1.;
/// The data: Gaussians of this width on a circle of this radius.
const MODES: usize = 8;
const RADIUS: f64 = 3.;
const WIDTH: f64 = 0.3;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Weights {
    Initial,
    Random,
    Trained,
}

/// What is built and measured.
#[derive(Clone, Copy, Debug)]
struct Case {
    weights: Weights,
    dim: usize,
    depth: usize,
    seed: u64,
}

/// What a round trip loses, over those points that come back finite.
#[derive(Clone, Copy, Debug, Serialize)]
struct Errors {
    /// Worst `max |inverse(forward(z)) - z|` over features.
    worst: f64,
    median: f64,
    /// Worst sum of the two log-determinants.
    log_det: f64,
    /// Points that do not come back finite.
    lost: usize,
}

/// All that is found of a case.
#[derive(Clone, Debug, Serialize)]
struct Row {
    weights: Weights,
    dim: usize,
    depth: usize,
    seed: u64,
    single: Errors,
    double: Errors,
    /// Worst round trip through a single layer, f64, at the points that the flow brings it.
    layer: f64,
    /// By how much a rounding error inside of the flow may have grown when it is back at the latents:
    /// the largest row-sum norm of the inverse Jacobian of the first `k` layers, over `k` and points.
    amplification: f64,
    /// Mean negative log-likelihood of fresh points before and after training, nats.
    nll: Option<[f64; 2]>,
}

/// The file `stability.json`.
#[derive(Debug, Serialize)]
struct Report {
    study: Study,
    gain: f64,
    /// Mean negative log-likelihood under the density that the points are drawn from, by dimension.
    truth: Vec<f64>,
    rows: Vec<Row>,
}

/// A flow, and its layers in the order of `forward`.
struct Stack {
    flow: Arc<dyn Bijector>,
    layers: Vec<Arc<dyn Bijector>>,
}

/// The spline flow of the published experiments with `depth` couplings; see `SplineFlowConfig`.
fn build(case: Case, store: &mut ParamStore) -> Result<Stack> {
    let Case { dim, depth, .. } = case;
    let mut configs = vec![];
    for i in 0..depth {
        configs.push(BijectorConfig::Permutation(PermutationConfig::new(dim)));
        let coupling = CouplingConfig::new(dim, Mask::alternating(i))
            .with_bins(10, 6.)
            .with_net(NetConfig::new(32, 2));
        configs.push(BijectorConfig::Coupling(coupling));
    }
    let layers = store.build(
        |_| true,
        |params| {
            let each = configs.iter().enumerate();
            each.map(|(i, config)| config.build(&mut params.scope(&i.to_string()))).collect()
        },
    );
    let layers: Vec<Arc<dyn Bijector>> = layers?;
    let flow = Arc::new(Inverted::new(Arc::new(Chain::new(layers.clone())?)));
    let layers = layers.into_iter().rev();
    let layers = layers.map(|l| Arc::new(Inverted::new(l)) as Arc<dyn Bijector>).collect();
    Ok(Stack { flow, layers })
}

/// Replace all weights by random ones, far from the identity that a flow starts near.
fn randomise(store: &ParamStore, seed: u64) -> Result<()> {
    let mut named = store.to_named()?;
    for parameter in store.parameters() {
        for (name, old) in parameter.to_named(parameter.var.as_tensor())? {
            let scale = match old.dims() {
                [_, inputs] => GAIN / (*inputs as f64).max(1.).sqrt(),
                _ => 0.5 * GAIN,
            };
            let mut stream = Stream::new(seed, &format!("random/{name}"));
            let noise = stream.normal_tensor(old.dims(), old.dtype(), old.device())?;
            named.insert(name, (noise * scale)?);
        }
    }
    Ok(store.assign(&named)?)
}

/// Points around a circle in the first two features, standard normal others, all of it reflected so
/// that every feature depends on every other.
fn data(rows: usize, dim: usize, stream: &mut Stream) -> Vec<f64> {
    let noise = stream.normal(rows * dim);
    let modes = stream.uniform(rows, 0., MODES as f64);
    let mut x = noise;
    for (x, mode) in x.chunks_mut(dim).zip(modes) {
        let angle = TAU * mode.floor() / MODES as f64;
        x[0] = RADIUS * angle.cos() + WIDTH * x[0];
        x[1] = RADIUS * angle.sin() + WIDTH * x[1];
        reflect(x);
    }
    x
}

/// Householder's reflection at the plane across `(1, .., 1)`: its own inverse, and of volume 1.
fn reflect(x: &mut [f64]) {
    let shift = 2. * x.iter().sum::<f64>() / x.len() as f64;
    x.iter_mut().for_each(|x| *x -= shift);
}

/// The log-density that [`data`] draws from.
fn true_log_prob(x: &[f64]) -> f64 {
    let mut x = x.to_vec();
    reflect(&mut x);
    let normal =
        |x: f64, width: f64| (-0.5 * (x / width).powi(2)).exp() / (width * (2. * PI).sqrt());
    let circle = (0..MODES).map(|mode| {
        let angle = TAU * mode as f64 / MODES as f64;
        normal(x[0] - RADIUS * angle.cos(), WIDTH) * normal(x[1] - RADIUS * angle.sin(), WIDTH)
    });
    let circle = circle.sum::<f64>() / MODES as f64;
    circle.ln() + x[2..].iter().map(|x| normal(*x, 1.).ln()).sum::<f64>()
}

/// Mean of `-log p(x)` under the flow of a standard normal density, nats.
fn nll(flow: &dyn Bijector, x: &Tensor) -> Result<Tensor> {
    let latent = flow.inverse(x, None)?;
    let base = StandardNormal { dim: x.dim(D::Minus1)? };
    Ok((base.log_prob(&latent.value)? + latent.log_abs_det)?.mean_all()?.neg()?)
}

/// Train by maximum likelihood; gives the losses on fresh points before and after.
fn train(case: Case, study: &Study, store: &mut ParamStore) -> Result<[f64; 2]> {
    let flow = build(case, store)?.flow;
    let device = Device::Cpu;
    let points = |rows: usize, stream: &mut Stream| -> Result<Tensor> {
        let x = Tensor::from_vec(data(rows, case.dim, stream), (rows, case.dim), &device)?;
        Ok(x.to_dtype(DType::F32)?)
    };
    let test = points(study.points, &mut Stream::new(case.seed, "test data"))?;
    let loss =
        |x: &Tensor| -> Result<f64> { Ok(f64::from(nll(flow.as_ref(), x)?.to_scalar::<f32>()?)) };
    let before = loss(&test)?;
    let parameters: Vec<_> = store.parameters().cloned().collect();
    let vars: Vec<_> = parameters.iter().map(|p| p.var.clone()).collect();
    let mut config = AdamWConfig::default();
    config.learning_rate = 2e-3;
    let mut optimizer = optimizer(&config.clone().into(), parameters);
    let pool = Pool::new(1)?;
    let mut stream = Stream::new(case.seed, "training data");
    for step in 0..study.steps {
        let gradients = nll(flow.as_ref(), &points(study.batch, &mut stream)?)?.backward()?;
        let gradients = vars.iter().map(|var| gradients.get(var).cloned()).collect();
        let norm = optimizer.accumulate(&pool, &[gradients])?;
        if !norm.is_finite() {
            return Err(format!("{case:?}: the gradient of step {step} is not finite").into());
        }
        let rate =
            config.learning_rate * LrSchedule::Cosine.factor(step as f64 / study.steps as f64, &[]);
        optimizer.step(&pool, rate, (5. / norm).min(1.))?;
    }
    Ok([before, loss(&test)?])
}

/// There and back.
fn round_trip(flow: &dyn Bijector, z: &Tensor) -> Result<Errors> {
    let there = flow.forward(z, None)?;
    let back = flow.inverse(&there.value, None)?;
    let wide = |t: &Tensor| t.to_dtype(DType::F64);
    let off = (wide(&back.value)? - wide(z)?)?.abs()?.to_vec2::<f64>()?;
    let sum = (wide(&there.log_abs_det)? + wide(&back.log_abs_det)?)?.to_vec1::<f64>()?;
    // `f64::max` would drop a feature that is not a number.
    let of_point = |off: &Vec<f64>, sum: f64| {
        let all = off.iter().chain([&sum]).all(|e| e.is_finite());
        all.then(|| (off.iter().copied().fold(0., f64::max), sum.abs()))
    };
    let found: Vec<_> = off.iter().zip(sum).filter_map(|(off, sum)| of_point(off, sum)).collect();
    let mut worst: Vec<f64> = found.iter().map(|(off, _)| *off).collect();
    worst.sort_by(f64::total_cmp);
    Ok(Errors {
        worst: worst.last().copied().unwrap_or(f64::NAN),
        median: worst.get(worst.len() / 2).copied().unwrap_or(f64::NAN),
        log_det: found.iter().map(|(_, sum)| *sum).fold(0., f64::max),
        lost: off.len() - found.len(),
    })
}

/// See [`Row::layer`] and [`Row::amplification`].
fn by_layer(layers: &[Arc<dyn Bijector>], z: &Tensor) -> Result<(f64, f64)> {
    let (rows, dim) = z.dims2()?;
    let unit = Tensor::eye(dim, z.dtype(), z.device())?.unsqueeze(0)?;
    let unit = unit.broadcast_as((rows, dim, dim))?.contiguous()?;
    // The transposed inverse Jacobian of all layers so far: tangents are rows, pushed as t -> t Jᵀ.
    let (mut inverse, mut z) = (unit.clone(), z.clone());
    let (mut error, mut amplification) = (0., 1.);
    // `f64::max` would drop what is not a number.
    let larger = |a: f64, b: f64| if b > a || b.is_nan() { b } else { a };
    for layer in layers {
        let before = z;
        z = layer.forward(&before, None)?.value;
        let back = layer.push_inverse(&Dual::new(z.clone(), unit.clone())?, None)?.value;
        inverse = back.tangents().ok_or("no tangents")?.contiguous()?.matmul(&inverse)?;
        let norm = inverse.abs()?.sum(1)?.max_all()?.to_scalar::<f64>()?;
        amplification = larger(amplification, norm);
        let off = (back.value() - before)?.abs()?.max_all()?.to_scalar::<f64>()?;
        error = larger(error, off);
    }
    Ok((error, amplification))
}

fn measure(case: Case, study: &Study) -> Result<Row> {
    let Case { weights, dim, depth, seed } = case;
    // All weights are f32 numbers, so that both precisions have the same map to evaluate.
    let mut store = ParamStore::new(seed, DType::F32, &Device::Cpu);
    let single = build(case, &mut store)?;
    let losses = match weights {
        Weights::Initial => None,
        Weights::Random => {
            randomise(&store, seed)?;
            None
        }
        Weights::Trained => Some(train(case, study, &mut store)?),
    };
    let mut wide = ParamStore::from_named(store.to_named()?, DType::F64, &Device::Cpu);
    let double = build(case, &mut wide)?;
    let latent = Stream::new(seed, "latent").normal_tensor(
        &[study.points, dim],
        DType::F32,
        &Device::Cpu,
    )?;
    let latent_wide = latent.to_dtype(DType::F64)?;
    let (layer, amplification) = by_layer(&double.layers, &latent_wide)?;
    Ok(Row {
        weights,
        dim,
        depth,
        seed,
        single: round_trip(single.flow.as_ref(), &latent)?,
        double: round_trip(double.flow.as_ref(), &latent_wide)?,
        layer,
        amplification,
        nll: losses,
    })
}

/// Worst errors against the depth.
fn draw(study: &Study, rows: &[Row], path: &Path) -> Result<()> {
    let mut series = vec![];
    for (precision, of) in
        [("f32", (|r| r.single.worst) as fn(&Row) -> f64), ("f64", |r| r.double.worst)]
    {
        for (name, weights) in [
            ("random", Weights::Random),
            ("trained", Weights::Trained),
            ("initial", Weights::Initial),
        ] {
            let worst = |depth: usize| {
                let rows = rows.iter().filter(|r| r.depth == depth && r.weights == weights);
                rows.map(of).fold(0., f64::max)
            };
            let points = study.depths.iter().map(|&depth| (depth as f64, worst(depth))).collect();
            series.push(Series { name: format!("{name} weights, {precision}"), points });
        }
    }
    let style = CurveStyle {
        title: "Round trips through deep spline flows".into(),
        x_label: "number of couplings".into(),
        y_label: "worst |inverse(forward(z)) \u{2212} z|".into(),
        log_x: true,
        log_y: true,
        ..CurveStyle::default()
    };
    Ok(draw_curves(&series, &[], &style, path)?)
}

fn main() -> Result<()> {
    let toy = std::env::var_os("MFLOW_TOY").is_some();
    let study = if toy {
        Study { dims: vec![3], depths: vec![4, 10], seeds: 1, points: 200, steps: 20, batch: 64 }
    } else {
        let (dims, depths) = (vec![3, 8], vec![10, 20, 40, 100]);
        Study { dims, depths, seeds: 3, points: 2_000, steps: 400, batch: 256 }
    };
    let mut cases = vec![];
    // The longest first, so that no thread has to wait for another.
    for &depth in study.depths.iter().rev() {
        for weights in [Weights::Trained, Weights::Random, Weights::Initial] {
            for &dim in study.dims.iter().rev() {
                cases.extend((1..=study.seeds).map(|seed| Case { weights, dim, depth, seed }));
            }
        }
    }
    let pool = Pool::new(std::thread::available_parallelism().map_or(1, usize::from))?;
    let rows = pool.map(cases.len(), |k| measure(cases[k], &study));
    let mut rows = rows.into_iter().collect::<Result<Vec<_>>>()?;
    rows.reverse();
    for row in &rows {
        let Row { weights, dim, depth, seed, single, double, layer, amplification, nll } = row;
        println!(
            "{weights:?} dim {dim} depth {depth} seed {seed}: f32 {:.1e} ({:.1e}, {}), f64 {:.1e} \
             ({:.1e}, {}), one layer {layer:.1e}, grows by {amplification:.1e}, nll {nll:.2?}",
            single.worst, single.median, single.lost, double.worst, double.median, double.lost,
        );
    }
    let truth = study.dims.iter().map(|&dim| {
        let x = data(100_000, dim, &mut Stream::new(1, "truth"));
        -x.chunks(dim).map(true_log_prob).sum::<f64>() / 100_000.
    });
    let report = Report { truth: truth.collect(), gain: GAIN, study, rows };
    println!("nll of the truth {:.3?}", report.truth);
    let initial = report.rows.iter().filter(|row| row.weights == Weights::Initial);
    for row in initial {
        assert!(row.double.worst < 1e-10, "a new flow does not invert: {row:?}");
        assert!(row.single.worst < 1e-1, "a new flow does not invert in f32: {row:?}");
    }
    if let Some(folder) = std::env::args_os().nth(1) {
        let folder = Path::new(&folder);
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("stability.json"), serde_json::to_string_pretty(&report)?)?;
        draw(&report.study, &report.rows, &folder.join("stability.png"))?;
    }
    Ok(())
}
