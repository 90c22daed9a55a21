//! The truth beside what was learned: manifold and density of a simulator, and points of it.
use super::sheet::{Shape, Sheet};
use crate::Result;
use crate::experiment::{ExperimentConfig, held_out, test_data};
use crate::true_surface::polynomial_surface;
use mflow_bijectors::Stream;
use mflow_data::{GaussianOnSphere, PolynomialSurface, Simulator};

/// Points of a line.
const LINE: u32 = 400;

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
        PolynomialSurface::NAME => {
            (Shape::Grid(side, side), polynomial_surface(side, side).into_flattened())
        }
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
    let color = simulator.log_prob(&points, &parameters.repeat(points.len() / d))?;
    Ok(Some(Sheet { name: "true manifold".to_owned(), shape, points, color: Some(color) }))
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
