//! Whether simulated collisions look like collisions: cross sections, what the jets look like, and how fast events come.
//!
//! `cargo xtask collisions` runs it and keeps what it finds in `docs/results/collisions.md`. By hand, with an optional folder
//! for `collisions.json` and `collisions.png`: `cargo run --release -p mflow --example collisions -- FOLDER`
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "an example shows its results, and may panic"
)]
use mflow::bijectors::Stream;
use mflow::data::Simulator;
use mflow::data::wbf::{Generator, Observable, Observables, Settings, WeakBosonFusion, objects};
use mflow::eval::figures::{Ink, Layer, Panel, PanelStyle, Shape, draw_panels};
use mflow::eval::statistics::histogram;
use mflow::train::Pool;
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

/// Parameters that are shown: none, and some of either operator.
const THETAS: [[f64; 2]; 5] = [[0., 0.], [0.2, 0.], [0., 0.2], [0., 0.5], [0., -0.5]];

/// What was found at some parameters.
#[derive(Debug, Serialize)]
struct Row {
    theta: [f64; 2],
    /// Cross sections before and after cuts in picobarn, with their errors.
    total: (f64, f64),
    selected: (f64, f64),
    /// Means over events: of the mass of the jets in GeV, and of the difference of their pseudorapidities.
    jets_mass: f64,
    delta_eta: f64,
    /// Events with an angle above 0 less those below, as a share, and its error.
    asymmetry: (f64, f64),
    /// The mean joint score, and its error.
    score: [(f64, f64); 2],
    /// Trials that an event took.
    trials: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    events: usize,
    rows: Vec<Row>,
    /// Share of the cross section beyond the largest weight.
    excess: f64,
    /// Seconds to adapt the generator, and for so many events with scores at parameters from the prior.
    setup: f64,
    seconds: f64,
    drawn: usize,
    threads: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let toy = std::env::var_os("MFLOW_TOY").is_some();
    let events = if toy { 2_000 } else { 200_000 };
    let drawn = if toy { 2_000 } else { 1_000_000 };
    // Not what candle is told.
    let pool = Pool::new(std::thread::available_parallelism().map_or(1, usize::from))?;
    let start = Instant::now();
    let generator = pool.install(|| match toy {
        true => Generator::with_survey(Settings::default(), 8),
        false => Generator::new(Settings::default()),
    });
    let setup = start.elapsed().as_secs_f64();
    let simulator = WeakBosonFusion::with_generator(Default::default(), generator);
    let mut rows = vec![];
    let mut seen = vec![];
    for theta in THETAS {
        let (row, observables) = pool.install(|| look(&simulator, theta, events));
        println!("{row:?}");
        rows.push(row);
        seen.push((theta, observables));
    }
    let stream = &mut Stream::new(1, "drawn");
    let parameters = simulator.sample_prior(drawn, stream);
    let start = Instant::now();
    // In parts, as the program does: memory does not grow with their number.
    let key = Generator::key(stream);
    for first in (0..drawn).step_by(64 * Generator::ROWS) {
        let last = (first + 64 * Generator::ROWS).min(drawn);
        let theta = |row: usize| [parameters[2 * row], parameters[2 * row + 1]];
        let scores: f64 = pool.install(|| {
            let events = simulator.generator().events_of(key, first..last, theta);
            let scored = events.iter().enumerate();
            scored.map(|(i, event)| simulator.joint_score(event, theta(first + i))[0]).sum()
        });
        if !scores.is_finite() {
            return Err("a score is not finite".into());
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let excess = simulator.generator().excess();
    let report = Report { events, rows, excess, setup, seconds, drawn, threads: pool.threads() };
    println!("{drawn} events with scores in {seconds:.1} s on {} threads", report.threads);
    if let Some(folder) = std::env::args_os().nth(1) {
        let folder = Path::new(&folder);
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("collisions.json"), serde_json::to_string_pretty(&report)?)?;
        draw(&seen, &folder.join("collisions.png"))?;
    }
    Ok(())
}

/// Draws events at parameters and looks at them.
fn look(simulator: &WeakBosonFusion, theta: [f64; 2], events: usize) -> (Row, Vec<Observables>) {
    let generator = simulator.generator();
    let all = generator.events(events, |_| theta, &mut Stream::new(1, "events"));
    let observables: Vec<Observables> = all
        .iter()
        .map(|event| {
            let [_, _, a, b] = objects(&event.coordinates);
            Observables::of_jets([a, b])
        })
        .collect();
    let mean =
        |of: &dyn Fn(&Observables) -> f64| observables.iter().map(of).sum::<f64>() / events as f64;
    let asymmetry = mean(&|o| o.delta_phi.signum());
    let score = |k: usize| {
        let values: Vec<f64> = all.iter().map(|e| simulator.joint_score(e, theta)[k]).collect();
        let mean = values.iter().sum::<f64>() / events as f64;
        let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        (mean, squares.sqrt() / events as f64)
    };
    let stream = &mut Stream::new(2, "trials");
    let trials: u64 = (0..1000).map(|_| generator.draw(theta, stream).1).sum();
    let row = Row {
        theta,
        total: generator.total().at(theta),
        selected: generator.selected().at(theta),
        jets_mass: mean(&|o| o.jets_mass),
        delta_eta: mean(&|o| o.delta_eta),
        asymmetry: (asymmetry, ((1. - asymmetry * asymmetry) / events as f64).sqrt()),
        score: [score(0), score(1)],
        trials: trials as f64 / 1000.,
    };
    (row, observables)
}

/// The distributions side by side.
fn draw(
    seen: &[([f64; 2], Vec<Observables>)],
    path: &Path,
) -> Result<(), Box<dyn std::error::Error>> {
    let panel = |Observable { label, range, of }: Observable| {
        let layer = |(k, (theta, observables)): (usize, &([f64; 2], Vec<Observables>))| {
            let values: Vec<f64> = observables.iter().map(of).collect();
            let name = format!("θ = ({}, {})", theta[0], theta[1]).replace('-', "\u{2212}");
            let ink = if k == 0 { Ink::Truth } else { Ink::Series(k - 1) };
            Layer::new(name, ink, Shape::Line(histogram(&values, range, 60)))
        };
        Panel {
            x_label: label.to_owned(),
            y_label: "density".to_owned(),
            x_limits: Some(range),
            layers: seen.iter().enumerate().map(layer).collect(),
            ..Panel::default()
        }
    };
    let panels: Vec<Panel> = Observables::ALL.into_iter().map(panel).collect();
    Ok(draw_panels(&panels, &PanelStyle::default(), path)?)
}
