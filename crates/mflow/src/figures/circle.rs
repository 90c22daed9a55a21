//! Gaussian angles on a circle: curves coloured by log-density, and the density along the angle.
use super::{Drawn, Sheet};
use crate::Result;
use crate::latents::Region;
use mflow_bijectors::Stream;
use mflow_data::{GaussianOnSphere, Simulator};
use mflow_eval::figures::{Ink, Layer, Panel, PanelStyle, Shape, draw_panels};
use mflow_eval::metrics::decoded;
use std::f64::consts::{FRAC_PI_2, PI, TAU};

/// Points of a curve.
const POINTS: usize = 600;
/// Samples of a model.
const SAMPLES: usize = 50_000;
/// Those of them that are drawn as dots.
const DOTS: usize = 1500;
/// Bins of their angles.
const BINS: usize = 120;
/// Percents of a model's samples that lie beyond each end of its curve, unless that is closed.
const TAILS: f64 = 0.1;
/// Half the width of the plane that is drawn.
const WINDOW: f64 = 1.45;
/// How far out a line is drawn: it is cut at the window.
const EDGE: f64 = WINDOW + 0.05;
/// Log-densities along the angle that are drawn, nats: from that of the truth at its least.
const LOG_DENSITY: [f64; 2] = [-9., 1.];

const CIRCLES: [GaussianOnSphere; 3] =
    [GaussianOnSphere::CIRCLE, GaussianOnSphere::THIN_CIRCLE, GaussianOnSphere::CONDITIONAL_CIRCLE];

/// `circle`: the truth and the curve of each model, or samples of a model that has no curve; all densities per
/// length over the angle.
pub(super) fn draw(sheet: &mut Sheet<'_>, simulator: &dyn Simulator) -> Result<()> {
    let Some(circle) = CIRCLES.into_iter().find(|c| c.name() == simulator.name()) else {
        return Ok(());
    };
    let (theta, seed) = (sheet.theta(simulator), sheet.experiment.seed);
    let angles: Vec<f64> =
        (0..=POINTS).map(|k| TAU * k as f64 / POINTS as f64 - FRAC_PI_2).collect();
    let points: Vec<[f64; 2]> = angles.iter().map(|angle| [angle.cos(), angle.sin()]).collect();
    let log_density = circle.log_prob(points.as_flattened(), &theta.repeat(points.len()))?;
    let along = angles.into_iter().zip(log_density.iter().copied()).collect();
    let outline = pairs(&points);
    let mut panels = vec![plane("Truth", vec![colored(outline.clone(), log_density)])];
    let mut profiles = vec![Layer::new("truth", Ink::Truth, Shape::Line(along))];
    for (k, run) in sheet.runs.iter().enumerate() {
        let (layer, profile) = match run.of.model.signature().manifold_dim {
            1 => curve(run, &theta)?,
            _ => cloud(run, &theta, seed)?,
        };
        let behind = Layer::new("", Ink::Faint, Shape::Line(outline.clone()));
        panels.push(plane(&run.title, vec![behind, layer]));
        profiles.push(Layer::new(&run.title, Ink::Series(k), Shape::Line(profile)));
    }
    panels.push(Panel {
        title: "Along the circle".to_owned(),
        x_label: "angle φ [rad]".to_owned(),
        y_label: "log-density per length [nats]".to_owned(),
        x_limits: Some([-FRAC_PI_2, 3. * FRAC_PI_2]),
        y_limits: Some(LOG_DENSITY),
        layers: profiles,
        ..Panel::default()
    });
    let style = PanelStyle {
        columns: if panels.len() == 4 { 4 } else { 3 },
        panel_size: [520, 590],
        value_label: "log-density per length [nats]".to_owned(),
    };
    Ok(draw_panels(&panels, &style, &sheet.path("circle"))?)
}

fn plane(title: &str, layers: Vec<Layer>) -> Panel {
    Panel {
        title: title.to_owned(),
        x_label: "x₁".to_owned(),
        y_label: "x₂".to_owned(),
        x_limits: Some([-WINDOW, WINDOW]),
        y_limits: Some([-WINDOW, WINDOW]),
        equal_units: true,
        layers,
        ..Panel::default()
    }
}

fn pairs(points: &[[f64; 2]]) -> Vec<(f64, f64)> {
    points.iter().map(|&[x, y]| (x, y)).collect()
}

fn colored(points: Vec<(f64, f64)>, value: Vec<f64>) -> Layer {
    Layer::new("", Ink::Truth, Shape::Colored { points, value })
}

/// The angle of a point, from that where the truth is least likely.
fn angle([x, y]: [f64; 2]) -> f64 {
    let angle = y.atan2(x);
    if angle < -FRAC_PI_2 { angle + TAU } else { angle }
}

/// A line that runs round the circle, broken where the angle starts anew.
fn unrolled(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let turns = points.chunk_by(|a, b| (a.0 - b.0).abs() < PI);
    turns.collect::<Vec<_>>().join(&(f64::NAN, f64::NAN))
}

/// What is drawn of a model in the plane, and over the angle.
type Picture = (Layer, Vec<(f64, f64)>);

/// Of a model of curves, one for each chart.
fn curve(run: &Drawn<'_>, theta: &[f64]) -> Result<Picture> {
    // How far a point is away counts only as far as it is seen.
    let seen = |latents: &[f64]| -> Result<Vec<f64>> {
        let points = decoded(run.of, latents, theta)?.points;
        Ok(points.into_iter().map(|x| x.clamp(-EDGE, EDGE)).collect())
    };
    // A point that is none ends a line.
    let gap = (f64::NAN, f64::NAN);
    let (mut points, mut density, mut along) = (vec![], vec![], vec![]);
    for latents in Region::of(run.of, TAILS)?.curves(POINTS, seen)? {
        let curve = decoded(run.of, &latents, theta)?;
        let of_chart = curve.points.as_chunks::<2>().0;
        let profile = of_chart.iter().map(|&x| angle(x)).zip(curve.log_density.iter().copied());
        along.extend(unrolled(&profile.collect::<Vec<_>>()));
        along.push(gap);
        // What is not seen has no share in the scale of colours.
        let is_seen = |point: &[f64; 2]| point.iter().all(|x| x.abs() <= EDGE);
        let of_curve = of_chart.iter().zip(&curve.log_density);
        density.extend(of_curve.map(|(x, &v)| if is_seen(x) { v } else { f64::NAN }));
        density.push(f64::NAN);
        points.extend(pairs(of_chart));
        points.push(gap);
    }
    Ok((colored(points, density), along))
}

/// Of a model of the plane: samples, and the density of their angles by counts.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a float cast to usize saturates, beyond all bins"
)]
#[expect(clippy::indexing_slicing, reason = "not more than there are")]
fn cloud(run: &Drawn<'_>, theta: &[f64], seed: u64) -> Result<Picture> {
    let context = run.of.context(&theta.repeat(SAMPLES))?;
    let x = run.of.model.sample(SAMPLES, context.as_ref(), &mut Stream::new(seed, "samples"))?;
    let x = run.of.by_rows(&x, None, |x, _| Ok(x.clone()))?;
    let points = x.as_chunks::<2>().0;
    let width = TAU / BINS as f64;
    let mut counts = vec![0_usize; BINS];
    for &point in points {
        let bin = (angle(point) + FRAC_PI_2) / width;
        if let Some(count) = counts.get_mut(bin as usize) {
            *count += 1;
        }
    }
    let steps = counts.into_iter().enumerate().flat_map(|(bin, count)| {
        let from = width * bin as f64 - FRAC_PI_2;
        let log_density = (count as f64 / (SAMPLES as f64 * width)).ln();
        [(from, log_density), (from + width, log_density)]
    });
    let dots = Shape::Dots(pairs(&points[..DOTS.min(points.len())]));
    Ok((Layer::new("", Ink::Truth, dots), steps.collect()))
}
