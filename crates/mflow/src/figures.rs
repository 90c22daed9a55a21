//! Figures of a run: its losses, and the learned surface beside the true one.
use crate::Result;
use crate::experiment::has_manifold_density;
use mflow_core::candle::Tensor;
use mflow_core::{Density, Error as CoreError};
use mflow_data::{GaussianOnSphere, PolynomialSurface, Simulator};
use mflow_eval::figures::{
    CurveStyle, Series, SurfacePanel, SurfaceStyle, draw_curves, draw_surfaces,
};
use mflow_eval::metrics::Evaluated;
use mflow_train::{EpochMetrics, RunDir};
use std::path::PathBuf;

/// The file `name` in the run's folder of figures, which is made if need be.
fn figure(run: &RunDir, name: &str) -> Result<PathBuf> {
    let folder = run.file("figures");
    std::fs::create_dir_all(&folder).map_err(CoreError::io(&folder))?;
    Ok(folder.join(name))
}

/// Draw training and validation loss of each phase, as `figures/loss-PHASE.png`.
///
/// # Errors
/// If the metrics cannot be read or a figure not written.
pub fn draw_losses(run: &RunDir) -> Result<()> {
    let metrics = run.metrics()?;
    let mut phases: Vec<&str> = metrics.iter().map(|m| m.phase.as_str()).collect();
    phases.dedup();
    for phase in phases {
        let of_phase = || metrics.iter().filter(|m| m.phase == phase);
        let series = |name: &str, y: fn(&EpochMetrics) -> f64| Series {
            name: name.to_owned(),
            points: of_phase().map(|m| (m.epoch as f64, y(m))).collect(),
        };
        let style = CurveStyle {
            title: format!("Phase: {phase}"),
            x_label: "epoch".into(),
            y_label: "loss".into(),
            log_y: of_phase().all(|m| m.train_loss > 0. && m.validation_loss > 0.),
            ..CurveStyle::default()
        };
        let series =
            [series("training", |m| m.train_loss), series("validation", |m| m.validation_loss)];
        draw_curves(&series, &[], &style, &figure(run, &format!("loss-{phase}.png"))?)?;
    }
    Ok(())
}

/// Points per side of the grid on the surface.
const GRID: usize = 61;
/// The part of the chart that is drawn: four standard deviations and more around the wide component.
pub(crate) const CHART: [[f64; 2]; 2] = [[-5., 7.], [-7., 5.]];
/// Points of a lower log-density in the chart are left out: no data to learn from.
pub(crate) const LEAST_LOG_PROB: f64 = -8.5;

/// Draw the true manifold and the learned one, as the simulator allows.
///
/// # Errors
/// If the model cannot be evaluated or the figure not written.
pub fn draw_manifold(
    run: &RunDir,
    of: Evaluated<'_>,
    simulator: &dyn Simulator,
    parameter: f64,
) -> Result<()> {
    match simulator.name() {
        PolynomialSurface::NAME if has_manifold_density(of.model) => {
            draw_surface(run, of, parameter)
        }
        name if name == GaussianOnSphere::CIRCLE.name() => draw_circle(run, of),
        // Without a density on a manifold there is no surface to colour.
        _ => Ok(()),
    }
}

/// Draw the circle and points of the model, as `figures/circle.png`: of a curve as a line.
fn draw_circle(run: &RunDir, of: Evaluated<'_>) -> Result<()> {
    /// Points of each line.
    const POINTS: u16 = 400;
    /// Half the width of what is shown.
    const WINDOW: f64 = 1.5;
    /// Standard deviations of latents that are drawn.
    const WIDEST: f64 = 3.;
    let share = |i: u16| f64::from(i) / f64::from(POINTS - 1);
    let truth = (0..POINTS).map(|i| (std::f64::consts::TAU * share(i)).sin_cos());
    let truth =
        Series { name: "true manifold".to_owned(), points: truth.map(|(y, x)| (x, y)).collect() };
    let mut all = vec![truth];
    if of.model.signature().manifold_dim == 1 {
        let latents: Vec<f64> = (0..POINTS).map(|i| WIDEST * (2. * share(i) - 1.)).collect();
        let x = of.by_rows(&of.tensor(&latents, 1)?, None, |u, c| of.model.decode(u, c))?;
        // What is not finite breaks the line, and so does what is not near the circle.
        let near = |v: f64| if v.abs() < WINDOW { v } else { f64::NAN };
        let points = x.as_chunks::<2>().0.iter().map(|&[x, y]| (near(x), near(y)));
        let points: Vec<(f64, f64)> = points.collect();
        if points.iter().any(|(x, y)| x.is_finite() && y.is_finite()) {
            all.push(Series { name: "learned manifold".to_owned(), points });
        }
    }
    let style = CurveStyle {
        title: "Gaussian on a circle".into(),
        x_label: "x".into(),
        y_label: "y".into(),
        size: [800, 800],
        ..CurveStyle::default()
    };
    Ok(draw_curves(&all, &[], &style, &figure(run, "circle.png")?)?)
}

/// Draw the true surface beside the learned one at `parameter`, as `figures/surface.png`.
///
/// The learned surface is the projection of the true one's grid by the model; both are coloured by
/// the log-density with respect to area.
///
/// # Errors
/// If the model cannot be evaluated or the figure not written.
fn draw_surface(run: &RunDir, of: Evaluated<'_>, parameter: f64) -> Result<()> {
    let surface = PolynomialSurface;
    let at = |axis: usize, i: usize| {
        let [low, high] = CHART[axis];
        low + (high - low) * i as f64 / (GRID - 1) as f64
    };
    let chart: Vec<[f64; 2]> =
        (0..GRID * GRID).map(|e| [at(0, e / GRID), at(1, e % GRID)]).collect();
    let points: Vec<[f64; 3]> = chart.iter().map(|&z| surface.embed(z)).collect();
    let flat = points.as_flattened();
    let parameters = vec![parameter; points.len()];
    let mut truth = surface.log_prob(flat, &parameters)?;
    let (x, context) = (of.tensor(flat, 3)?, of.context(&parameters)?);
    let learned = of.by_rows(&x, context.as_ref(), |x, c| of.model.project(x, c))?;
    let of_model = |x: &Tensor, c: Option<&Tensor>| of.model.log_density(Density::Manifold, x, c);
    let mut model = of.by_rows(&x, context.as_ref(), of_model)?;
    for (i, &z) in chart.iter().enumerate() {
        if surface.log_prob_chart(z, parameter)? < LEAST_LOG_PROB {
            (truth[i], model[i]) = (f64::NAN, f64::NAN);
        }
    }
    let panel = |title: &str, points: Vec<[f64; 3]>, value| SurfacePanel {
        title: title.to_owned(),
        points,
        rows: GRID,
        cols: GRID,
        value,
        scatter: vec![],
    };
    let panels = [
        panel("True surface", points, truth),
        panel("Learned surface", learned.as_chunks().0.to_vec(), model),
    ];
    Ok(draw_surfaces(&panels, &SurfaceStyle::default(), &figure(run, "surface.png")?)?)
}
