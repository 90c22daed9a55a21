//! The view of a run: what was learned, the truth where it is known, and points, in one figure.
use super::frame::Frame;
use super::learned::learned;
use super::number::rounded;
use super::plot::Plot;
use super::sheet::{Shape, Sheet, Style};
use super::truth::{test_points, truth};
use crate::experiment::{Origin, has_manifold_density};
use crate::{Finished, Result};
use mflow_eval::metrics::Evaluated;
use mflow_eval::statistics::percentiles;
use mflow_train::Pool;
use serde_json::{Value, json};

/// How much of it there is to see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Detail {
    /// Points along each side of a surface.
    pub(super) side: usize,
    /// Points of a cloud.
    pub(super) points: usize,
    /// Markers of data.
    pub(super) markers: usize,
}

/// A figure with what it shows, in words.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) plot: Plot,
    pub(super) caption: String,
}

const LEARNED: Style = Style { color: "#4c86b8", opacity: 1., size: 5., shown: true };
const TRUE: Style = Style { color: "#b8a46c", opacity: 1., size: 4., shown: false };
const POINTS: Style = Style { color: "#20262d", opacity: 0.55, size: 2., shown: true };
/// Diameter of points with a colour.
const COLORED_POINTS: f64 = 3.;

/// The view of a finished run.
pub(super) fn view(run: &Finished, pool: &Pool, detail: Detail) -> Result<View> {
    let of = Evaluated { model: run.model(), pool };
    let signature = of.model.signature();
    let (context, points, mut truth) = match run {
        Finished::Experiment(run) => {
            let context = signature.context_dim.unwrap_or(0);
            let parameters = vec![run.config.evaluation.parameter; context];
            let simulator = match run.config.data.origin {
                Origin::Simulator { .. } => Some(run.config.data.simulator()?),
                Origin::File { .. } | Origin::Images(_) | Origin::Scenes(_) => None,
            };
            let simulator = simulator.as_deref();
            let points = test_points(&run.config, simulator, detail.markers)?;
            let truth = match simulator {
                Some(simulator) => truth(simulator, &parameters, detail.side, detail.points)?,
                None => None,
            };
            (parameters, points, truth)
        }
        Finished::Fit(fit) => {
            let context = vec![0.; signature.context_dim.unwrap_or(0)];
            let (name, points) = ("data".to_owned(), fit.points.clone());
            (context, Sheet { name, shape: Shape::Cloud, points, color: None }, None)
        }
    };
    let learned = learned(of, &context, detail.side, detail.points)?;
    let on_manifold = has_manifold_density(of.model);
    if learned.color.is_some() && !on_manifold {
        // Densities with respect to area and to volume have no scale in common.
        truth.iter_mut().for_each(|sheet| sheet.color = None);
    }
    let columns = match run {
        Finished::Experiment(_) => None,
        Finished::Fit(fit) => fit.columns.as_deref(),
    };
    let finite: Vec<f64> = rows_that_are_finite(&points.points, signature.data_dim);
    let frame = Frame::new(&finite, signature.data_dim, columns);
    let caption = caption(&learned, &truth, run, &context, &frame);

    let sized = |style: Style, sheet: &Sheet| match sheet.shape {
        Shape::Cloud if frame.dim() == 3 => Style { size: COLORED_POINTS, ..style },
        _ => style,
    };
    let mut traces = vec![learned.trace(&frame, sized(LEARNED, &learned))];
    traces.extend(truth.as_ref().map(|sheet| sheet.trace(&frame, sized(TRUE, sheet))));
    let larger = Style { size: 3., ..POINTS };
    traces.push(points.trace(&frame, if frame.dim() == 2 { larger } else { POINTS }));
    let mut layout = axes(&frame, &finite);
    let scale = truth.as_ref().and_then(|sheet| sheet.color.as_ref()).or(learned.color.as_ref());
    if let Some(values) = scale {
        let title = if on_manifold || learned.color.is_none() {
            "log-density on the manifold (nats)"
        } else {
            "log-density (nats)"
        };
        layout["coloraxis"] = color_axis(values, title);
    }
    Ok(View { plot: Plot { traces, layout }, caption })
}

fn rows_that_are_finite(points: &[f64], d: usize) -> Vec<f64> {
    let rows = points.chunks_exact(d).filter(|row| row.iter().all(|x| x.is_finite()));
    rows.flatten().copied().collect()
}

/// The axes, around `points`: a manifold that leaves them is cut.
fn axes(frame: &Frame, points: &[f64]) -> Value {
    let limits = frame.limits(points);
    let axis = |k: usize| {
        let mut axis = json!({ "title": { "text": frame.names()[k] } });
        if let Some(range) = limits[k] {
            axis["range"] = range.map(rounded).to_vec().into();
        }
        axis
    };
    if frame.dim() == 2 {
        let mut y = axis(1);
        y["scaleanchor"] = "x".into();
        return json!({ "xaxis": axis(0), "yaxis": y });
    }
    json!({ "scene": { "xaxis": axis(0), "yaxis": axis(1), "zaxis": axis(2) } })
}

/// Colours between the 2nd and the 98th percentile: a few extreme values would leave one for all others.
fn color_axis(values: &[f64], title: &str) -> Value {
    let [low, high] = percentiles(values.iter().copied(), [2., 98.]).unwrap_or([0., 0.]);
    let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };
    json!({
        "colorscale": "Viridis",
        "cmin": rounded(low),
        "cmax": rounded(high),
        "colorbar": { "title": { "text": title, "side": "right" } },
    })
}

/// What is to be seen.
fn caption(
    learned: &Sheet,
    truth: &Option<Sheet>,
    run: &Finished,
    context: &[f64],
    frame: &Frame,
) -> String {
    let signature = run.model().signature();
    let mut text = match learned.shape {
        Shape::Cloud => "Samples of the model".to_owned(),
        _ => "The learned manifold: the decoder on the region of the latents where nearly all samples fall".into(),
    };
    text += match learned.color {
        Some(_) if has_manifold_density(run.model()) => {
            ", coloured by the log-density with respect to volume on the manifold. "
        }
        Some(_) => ", coloured by the log-density with respect to volume of the whole space. ",
        None => ", without a colour: the model has no tractable density. ",
    };
    if signature.context_dim.is_some() {
        text += &match context {
            [one] => format!("All at the context {one}. "),
            many => format!("All at the context {many:?}. "),
        };
    }
    if let Some(Sheet { shape, .. }) = truth {
        text += match shape {
            Shape::Cloud => "The true manifold, as samples of the simulator, is in the legend. ",
            _ => "The true manifold is in the legend. ",
        };
    }
    if frame.is_projection() {
        text += match run {
            Finished::Experiment(_) => {
                "The axes are the first principal components of the test data. "
            }
            Finished::Fit(_) => "The axes are the first principal components of the data. ",
        };
    }
    text
}
