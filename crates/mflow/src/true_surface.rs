//! The part of the true polynomial surface that figures and reports show.
use mflow_data::PolynomialSurface;
use std::f64::consts::TAU;

/// The middle of that part in the chart: the mean of the wide component. The narrow one is inside.
const CENTER: [f64; 2] = [1., -1.];
/// Its radius: three standard deviations of the wide component.
const RADIUS: f64 = 6.;

/// A grid in polar coordinates of the chart: `rows` from the middle to the rim, `cols` once around, row-major.
#[expect(
    clippy::integer_division_remainder_used,
    reason = "points are numbered only where there are some"
)]
pub(crate) fn polynomial_surface(rows: usize, cols: usize) -> Vec<[f64; 3]> {
    let points = (0..rows * cols).map(|k| {
        let radius = RADIUS * (k / cols) as f64 / (rows - 1) as f64;
        let (sin, cos) = (TAU * (k % cols) as f64 / (cols - 1) as f64).sin_cos();
        PolynomialSurface.embed([CENTER[0] + radius * cos, CENTER[1] + radius * sin])
    });
    points.collect()
}
