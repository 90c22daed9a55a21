//! The polynomial surface: the true one and the learned ones, coloured by log-density.
use super::{Drawn, Sheet};
use crate::Result;
use crate::experiment::has_manifold_density;
use mflow_core::Density;
use mflow_core::candle::Tensor;
use mflow_data::{PolynomialSurface, Simulator};
use mflow_eval::figures::{Limits, SurfacePanel, SurfaceStyle, draw_surfaces};

/// Points per side of the grid on the surface.
const GRID: usize = 61;
/// The part of the chart that is drawn: four standard deviations and more around the wide component.
const CHART: [[f64; 2]; 2] = [[-5., 7.], [-7., 5.]];
/// Points of a lower log-density in the chart are left out: no data to learn from.
const LEAST_LOG_PROB: f64 = -8.5;
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
        let grid = Grid::new(parameter)?;
        let value = grid.masked(PolynomialSurface.log_prob(grid.flat(), &grid.parameters())?);
        let drawn = grid.points.iter().zip(&value).filter(|(_, value)| value.is_finite());
        truth.extend(drawn.map(|(point, _)| point));
        let note = format!("θ = {parameter}").replace('-', "\u{2212}");
        panels.push(SurfacePanel { note, ..panel(title("Truth"), grid.points.clone(), value) });
        for run in &runs {
            panels.push(grid.learned(run, title(&run.title))?);
        }
    }
    let columns = runs.len() + 1;
    let (panel_size, text_scale) = match columns {
        2 => ([800, 640], 1.15),
        _ => ([480, 400], 1.5),
    };
    let limits = Some(around(&truth));
    let style = SurfaceStyle { columns, panel_size, text_scale, limits, ..SurfaceStyle::default() };
    Ok(draw_surfaces(&panels, &style, &sheet.path("surface"))?)
}

fn panel(title: String, points: Vec<[f64; 3]>, value: Vec<f64>) -> SurfacePanel {
    SurfacePanel { title, points, rows: GRID, cols: GRID, value, ..SurfacePanel::default() }
}

/// The box around points, with a margin.
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
    /// Whether there are data.
    is_drawn: Vec<bool>,
}

impl Grid {
    fn new(parameter: f64) -> Result<Self> {
        let at = |axis: usize, i: usize| {
            let [low, high] = CHART[axis];
            low + (high - low) * i as f64 / (GRID - 1) as f64
        };
        let chart: Vec<[f64; 2]> =
            (0..GRID * GRID).map(|e| [at(0, e / GRID), at(1, e % GRID)]).collect();
        let log_prob = |&z: &[f64; 2]| PolynomialSurface.log_prob_chart(z, parameter);
        let log_probs = chart.iter().map(log_prob).collect::<Result<Vec<_>, _>>()?;
        let is_drawn = log_probs.into_iter().map(|log_prob| log_prob >= LEAST_LOG_PROB).collect();
        let points = chart.iter().map(|&z| PolynomialSurface.embed(z)).collect();
        Ok(Self { parameter, points, is_drawn })
    }

    fn flat(&self) -> &[f64] {
        self.points.as_flattened()
    }

    fn parameters(&self) -> Vec<f64> {
        vec![self.parameter; self.points.len()]
    }

    /// Values where there are data.
    fn masked(&self, value: Vec<f64>) -> Vec<f64> {
        let masked = value.into_iter().zip(&self.is_drawn);
        masked.map(|(value, &is_drawn)| if is_drawn { value } else { f64::NAN }).collect()
    }

    /// The projection of the grid by a model, coloured by its density.
    fn learned(&self, run: &Drawn<'_>, title: String) -> Result<SurfacePanel> {
        let (of, model) = (run.of, run.of.model);
        let (x, context) = (of.tensor(self.flat(), 3)?, of.context(&self.parameters())?);
        let points = of.by_rows(&x, context.as_ref(), |x, c| model.project(x, c))?;
        let of_model = |x: &Tensor, c: Option<&Tensor>| model.log_density(Density::Manifold, x, c);
        let value = self.masked(of.by_rows(&x, context.as_ref(), of_model)?);
        Ok(panel(title, points.as_chunks().0.to_vec(), value))
    }
}
