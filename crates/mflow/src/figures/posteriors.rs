//! Posteriors of parameters given a few observed sets: those of models, and the exact ones.
use super::Sheet;
use crate::Result;
use mflow_data::wbf::WeakBosonFusion;
use mflow_data::{Parameter, Prior, Simulator};
use mflow_eval::figures::{Ink, Layer, Panel, PanelStyle, Shape, draw_panels};
use mflow_eval::mcmc::{Tabulated, Target, tabulated_plane};
use mflow_eval::metrics::{PosteriorConfig, observed_set};
use mflow_eval::statistics::highest_density_level;
use mflow_eval::{Posterior, TruePosterior};

/// The shares of the prior below the true parameters of the observed sets, where none are published.
const SHARES_BELOW: [f64; 3] = [0.25, 0.5, 0.75];
/// Points of a table of one parameter.
const TABLE: usize = 401;
/// Points per side of a table of two parameters.
const SIDE: usize = 51;
/// Densities below this share of the highest are not drawn.
const DEPTH: f64 = 1e-3;
/// Shares of the mass that contours hold.
const SHARES: [f64; 2] = [0.68, 0.95];

/// `posteriors`: a panel for each observed set, with the true parameters marked; densities of one parameter,
/// contours of two.
pub(super) fn draw(sheet: &mut Sheet<'_>, simulator: &dyn Simulator) -> Result<()> {
    let prior = simulator.parameters();
    let has_likelihood = sheet.runs.iter().any(|run| run.of.model.signature().density.is_some());
    if !simulator.is_tractable() || !has_likelihood || !(1..=2).contains(&prior.len()) {
        return Ok(());
    }
    let truths: Vec<Vec<f64>> = match simulator.name() {
        WeakBosonFusion::NAME => WeakBosonFusion::TRUTHS.map(|theta| theta.to_vec()).to_vec(),
        _ => SHARES_BELOW
            .map(|share| prior.iter().map(|p| p.prior.quantile(share)).collect())
            .to_vec(),
    };
    let panels = truths.iter().enumerate().map(|(set, theta)| panel(sheet, simulator, theta, set));
    let panels = panels.collect::<Result<Vec<_>>>()?;
    Ok(draw_panels(&panels, &PanelStyle::default(), &sheet.path("posteriors"))?)
}

/// The posteriors given the observed set of the number `set`, drawn at `theta`.
#[expect(
    clippy::indexing_slicing,
    reason = "figures of posteriors are of simulators with parameters, and truths have all of them"
)]
fn panel(sheet: &Sheet<'_>, simulator: &dyn Simulator, theta: &[f64], set: usize) -> Result<Panel> {
    let parameters = simulator.parameters();
    let prior: Vec<Prior> = parameters.iter().map(|p| p.prior).collect();
    let rows = PosteriorConfig::default().rows;
    let x = observed_set(simulator, theta, rows, sheet.experiment.seed, set)?;
    let layer = |name: &str, ink: Ink, target: &dyn Target| -> Result<Layer> {
        let lines = match prior[..] {
            [a, b] => contours(target, &[a, b])?,
            _ => Tabulated::new(target, &prior[0], TABLE)?.density()?,
        };
        Ok(Layer::new(name, ink, Shape::Line(lines)))
    };
    let mut layers = vec![layer("truth", Ink::Truth, &TruePosterior::new(simulator, &x)?)?];
    for (k, run) in sheet.runs.iter().enumerate() {
        if run.of.model.signature().density.is_some() {
            let posterior = Posterior::new(run.of, &prior, &x)?;
            layers.push(layer(&run.title, Ink::Series(k), &posterior)?);
        }
    }
    let values = match theta {
        [one] => format!("{} = {one}", symbol(&parameters[0])),
        _ => format!("({})", theta.iter().map(f64::to_string).collect::<Vec<_>>().join(", ")),
    };
    let values = values.replace('-', "\u{2212}");
    let panel = Panel {
        title: format!("{rows} rows at {values}"),
        x_label: symbol(&parameters[0]).to_owned(),
        ..Panel::default()
    };
    Ok(match parameters {
        [_, second] => {
            let at = Shape::Dots(vec![(theta[0], theta[1])]);
            layers.push(Layer::new("true parameters", Ink::Truth, at));
            Panel { y_label: symbol(second).to_owned(), layers, ..panel }
        }
        _ => {
            let [x_limits, y_limits] = window(&layers);
            layers.push(Layer::new("true parameter", Ink::Faint, Shape::Mark(theta[0])));
            let y_label = "posterior density".to_owned();
            let (x_limits, y_limits) = (Some(x_limits), Some(y_limits));
            Panel { y_label, x_limits, y_limits, layers, ..panel }
        }
    })
}

/// Where densities are not small, and up to the highest.
fn window(layers: &[Layer]) -> [[f64; 2]; 2] {
    let points = || {
        layers.iter().flat_map(|layer| match &layer.shape {
            Shape::Line(points) => &points[..],
            _ => &[],
        })
    };
    let top = points().map(|point| point.1).fold(0., f64::max);
    let dense = points().filter(|point| point.1 > DEPTH * top).map(|point| point.0);
    let [low, high] =
        dense.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], x| [low.min(x), high.max(x)]);
    [[low, high], [0., 1.06 * top]]
}

/// The lines around [`SHARES`] of a posterior, one after the other.
fn contours(target: &dyn Target, prior: &[Prior; 2]) -> Result<Vec<(f64, f64)>> {
    let field = tabulated_plane(target, prior, SIDE)?;
    let mut all = vec![];
    for share in SHARES {
        all.extend(field.contour(highest_density_level(&field.values, share)?)?);
    }
    Ok(all.join(&(f64::NAN, f64::NAN)))
}

/// How a parameter is written.
fn symbol(parameter: &Parameter) -> &'static str {
    match parameter.name {
        "theta" => "θ",
        "theta_1" => "θ₁",
        "theta_2" => "θ₂",
        other => other,
    }
}
