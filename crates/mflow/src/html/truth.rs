//! The truth beside what was learned: manifold and density of a simulator, and points of it.
use super::sheet::{Shape, Sheet};
use crate::Result;
use crate::experiment::{ExperimentConfig, held_out, test_data};
use mflow_bijectors::Stream;
use mflow_data::{GaussianOnSphere, PolynomialSurface, Simulator};

/// Points of a line.
const LINE: u32 = 400;
/// The part of the polynomial surface's chart that is drawn: three standard deviations and more around the
/// wide component.
const CHART: [[f64; 2]; 2] = [[-5., 7.], [-7., 5.]];
/// Points of a lower log-density in the chart are left out: no data to learn from.
const LEAST_LOG_PROB: f64 = -8.5;

/// The true manifold at `parameters`, coloured by the true log-density with respect to its volume: a surface
/// of `side` points along each side or a line where its shape is at hand, else `points` samples. None where
/// the density has no formula.
pub(super) fn truth(
    simulator: &dyn Simulator,
    parameters: &[f64],
    side: usize,
    points: usize,
) -> Result<Option<Sheet>> {
    if !simulator.is_tractable() {
        return Ok(None);
    }
    let (shape, points) = match simulator.name() {
        PolynomialSurface::NAME => (Shape::Grid(side, side), polynomial_surface(side, parameters)?),
        name if name == GaussianOnSphere::CIRCLE.name() => {
            let angle = |i: u32| std::f64::consts::TAU * f64::from(i) / f64::from(LINE - 1);
            let circle = (0..LINE).flat_map(|i| [angle(i).cos(), angle(i).sin()]);
            (Shape::Line, circle.collect())
        }
        _ => {
            let mut stream = Stream::new(0, "true manifold of a report");
            let all = parameters.repeat(points);
            (Shape::Cloud, simulator.sample(points, &all, &mut stream)?)
        }
    };
    let d = simulator.data_dim();
    // Holes of a surface are where there are no data.
    let there = |row: &&[f64]| row.iter().all(|x| x.is_finite());
    let kept: Vec<f64> = points.chunks_exact(d).filter(there).flatten().copied().collect();
    let found = simulator.log_prob(&kept, &parameters.repeat(kept.len() / d))?;
    let mut found = found.into_iter();
    let mut value = |row| if there(&row) { found.next() } else { None }.unwrap_or(f64::NAN);
    let color = points.chunks_exact(d).map(&mut value).collect();
    Ok(Some(Sheet { name: "true manifold".to_owned(), shape, points, color: Some(color) }))
}

/// A grid in the chart, `[side², 3]`, with NaN for what has so low a density that there are no data to learn
/// from.
fn polynomial_surface(side: usize, parameters: &[f64]) -> Result<Vec<f64>> {
    let at = |axis: usize, i: usize| {
        let [low, high] = CHART[axis];
        low + (high - low) * i as f64 / (side - 1) as f64
    };
    let theta = parameters.first().copied().unwrap_or(0.);
    let mut points = Vec::with_capacity(3 * side * side);
    for i in 0..side {
        for j in 0..side {
            let z = [at(0, i), at(1, j)];
            let there = PolynomialSurface.log_prob_chart(z, theta)? >= LEAST_LOG_PROB;
            points.extend(if there { PolynomialSurface.embed(z) } else { [f64::NAN; 3] });
        }
    }
    Ok(points)
}

/// The first `rows` of the rows that an experiment is measured on.
pub(super) fn test_points(
    config: &ExperimentConfig,
    simulator: Option<&dyn Simulator>,
    rows: usize,
) -> Result<Sheet> {
    let mut points = match simulator {
        Some(simulator) => test_data(config, simulator)?.0,
        None => held_out(config)?.unwrap_or_default(),
    };
    points.truncate(rows * config.model.sizes.data_dim);
    Ok(Sheet { name: "test data".to_owned(), shape: Shape::Cloud, points, color: None })
}
