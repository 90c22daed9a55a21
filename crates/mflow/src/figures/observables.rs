//! Distributions of what one looks at in collisions.
use super::Sheet;
use crate::Result;
use crate::experiment::test_data;
use mflow_bijectors::Stream;
use mflow_data::Simulator;
use mflow_data::wbf::{Observable, Observables, WeakBosonFusion};
use mflow_eval::figures::{Ink, Layer, Panel, PanelStyle, Shape, draw_panels};
use mflow_eval::statistics::histogram;

/// Bins of a histogram.
const BINS: usize = 40;

/// `observables`: those of the jets of events, and of samples of the models, at the parameters of the evaluation.
#[expect(clippy::integer_division_remainder_used, reason = "a simulator has a feature or more")]
pub(super) fn draw(sheet: &mut Sheet<'_>, simulator: &dyn Simulator) -> Result<()> {
    if simulator.name() != WeakBosonFusion::NAME {
        return Ok(());
    }
    let collisions = WeakBosonFusion::default();
    let (x, parameters) = test_data(sheet.experiment, simulator)?;
    let rows = x.len() / simulator.data_dim();
    let mut samples = vec![("events".to_owned(), Ink::Truth, x)];
    for (k, run) in sheet.runs.iter().enumerate() {
        let model = run.of.model;
        let stream = &mut Stream::new(sheet.experiment.seed, "observables");
        let (latent, context) = (model.sample_latent(rows, stream)?, run.of.context(&parameters)?);
        let drawn = run.of.by_rows(&latent, context.as_ref(), |z, c| model.decode(z, c))?;
        samples.push((run.title.clone(), Ink::Series(k), drawn));
    }
    let panel = |Observable { label, range, of }: Observable| {
        let layer = |(name, ink, x): &(String, Ink, Vec<f64>)| {
            let rows = x.chunks_exact(simulator.data_dim());
            let values: Vec<f64> = rows.map(|x| of(&collisions.observables(x))).collect();
            Layer::new(name, *ink, Shape::Line(histogram(&values, range, BINS)))
        };
        Panel {
            x_label: label.to_owned(),
            y_label: "density".to_owned(),
            x_limits: Some(range),
            layers: samples.iter().map(layer).collect(),
            ..Panel::default()
        }
    };
    let panels: Vec<Panel> = Observables::ALL.into_iter().map(panel).collect();
    Ok(draw_panels(&panels, &PanelStyle::default(), &sheet.path("observables"))?)
}
