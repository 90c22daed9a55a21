//! The polynomial surface: the true one and the learned ones, coloured by log-density.
use super::{Drawn, Sheet};
use crate::Result;
use crate::experiment::has_manifold_density;
use crate::true_surface::polynomial_surface;
use mflow_core::Density;
use mflow_core::candle::Tensor;
use mflow_data::{PolynomialSurface, Simulator};
use mflow_eval::figures::{Limits, SurfacePanel, SurfaceStyle, draw_surfaces};

/// Points of the grid on the surface: away from the middle of the chart, and around it.
const GRID: [usize; 2] = [33, 97];
/// How far the box reaches beyond the true surface, as a share of its longest side.
const MARGIN: f64 = 0.05;

/// `surface`: a column for the truth and each model with a density on a manifold, a row for each parameter.
///
/// A learned surface is the projection of the true one's grid by the model; log-densities are with respect to
/// area. What leaves the box around the true surface is not drawn.
pub(super) fn draw(sheet: &mut Sheet<'_>, simulator: &dyn Simulator) -> Result<()> {
    let runs: Vec<&Drawn<'_>> =
        sheet.runs.iter().filter(|run| has_manifold_density(run.of.model)).collect();
    if simulator.name() != PolynomialSurface::NAME || runs.is_empty() {
        return Ok(());
    }
    let mut panels = vec![];
    let mut truth: Vec<[f64; 3]> = vec![];
    for (row, &parameter) in sheet.parameters.iter().enumerate() {
        let title = |title: &str| if row == 0 { title.to_owned() } else { String::new() };
        let grid = Grid::new(parameter);
        let value = PolynomialSurface.log_prob(grid.flat(), &grid.parameters())?;
        truth.extend(&grid.points);
        let note = format!("θ = {parameter}").replace('-', "\u{2212}");
        panels.push(SurfacePanel { note, ..panel(title("Truth"), grid.points.clone(), value) });
        for run in &runs {
            panels.push(grid.learned(run, title(&run.title))?);
        }
    }
    let columns = runs.len() + 1;
    let (panel_size, text_scale) = match columns {
        2 => ([720, 560], 1.35),
        _ => ([480, 400], 1.7),
    };
    let limits = Some(around(&truth));
    let style = SurfaceStyle { columns, panel_size, text_scale, limits, ..SurfaceStyle::default() };
    Ok(draw_surfaces(&panels, &style, &sheet.path("surface"))?)
}

fn panel(title: String, points: Vec<[f64; 3]>, value: Vec<f64>) -> SurfacePanel {
    SurfacePanel { title, points, rows: GRID[0], cols: GRID[1], value, ..SurfacePanel::default() }
}

/// The box around points, with a margin.
#[expect(clippy::indexing_slicing, reason = "axes 0 to 2")]
fn around(points: &[[f64; 3]]) -> Limits {
    let end = |k: usize, pick: fn(f64, f64) -> f64| {
        points.iter().map(|point| point[k]).fold(f64::NAN, pick)
    };
    let low = [0, 1, 2].map(|k| end(k, f64::min));
    let high = [0, 1, 2].map(|k| end(k, f64::max));
    let margin = MARGIN * (0..3).map(|k| high[k] - low[k]).fold(0., f64::max);
    Limits { low: low.map(|x| x - margin), high: high.map(|x| x + margin) }
}

/// A grid on the true surface at a parameter.
#[derive(Debug)]
struct Grid {
    parameter: f64,
    points: Vec<[f64; 3]>,
}

impl Grid {
    fn new(parameter: f64) -> Self {
        Self { parameter, points: polynomial_surface(GRID[0], GRID[1]) }
    }

    fn flat(&self) -> &[f64] {
        self.points.as_flattened()
    }

    fn parameters(&self) -> Vec<f64> {
        vec![self.parameter; self.points.len()]
    }

    /// The projection of the grid by a model, coloured by its density.
    fn learned(&self, run: &Drawn<'_>, title: String) -> Result<SurfacePanel> {
        let (of, model) = (run.of, run.of.model);
        let (x, context) = (of.tensor(self.flat(), 3)?, of.context(&self.parameters())?);
        let points = of.by_rows(&x, context.as_ref(), |x, c| model.project(x, c))?;
        let of_model = |x: &Tensor, c: Option<&Tensor>| model.log_density(Density::Manifold, x, c);
        let value = of.by_rows(&x, context.as_ref(), of_model)?;
        Ok(panel(title, points.as_chunks().0.to_vec(), value))
    }
}
