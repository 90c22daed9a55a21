//! The Lorenz attractor: learned surfaces beside trajectories, and densities along two sections.
#![expect(
    clippy::indexing_slicing,
    reason = "two sections with edges, windows of two, and more samples than are cut off"
)]
use super::{Drawn, Sheet};
use crate::Result;
use mflow_bijectors::Stream;
use mflow_core::Model;
use mflow_data::{Lorenz, Simulator};
use mflow_eval::figures::{
    Camera, Ink, Layer, Limits, Panel, PanelStyle, Shape, SurfacePanel, SurfaceStyle, draw_panels,
    draw_surfaces,
};
use mflow_eval::metrics::{LORENZ_SLAB, SECTION_CELLS, Section, decoded, lorenz_sections};

/// Points per side of the grid of latents.
const GRID: usize = 91;
/// Samples that say where a surface has a density.
const SAMPLES: usize = 5000;
/// So many of them lie where it is not drawn, at the lowest densities.
const CUT: usize = SAMPLES / 50;
/// Points of trajectories that are drawn.
const DOTS: usize = 4000;
/// One of so many is: enough to be on another turn.
const EVERY: usize = 211;
/// What is drawn, standardised.
const BOX: Limits = Limits { low: [-2.6, -2.9, -2.7], high: [2.6, 2.9, 2.8] };

const CAMERAS: [Camera; 3] = [
    Camera { azimuth: -58., elevation: 26. },
    Camera { azimuth: -102., elevation: 14. },
    Camera { azimuth: -20., elevation: 42. },
];

/// `lorenz`: points of trajectories and the surface of each model, from three angles; `lorenz-sections`: the
/// densities along two curves. Of models of surfaces.
pub(super) fn draw(sheet: &mut Sheet<'_>, simulator: &dyn Simulator) -> Result<()> {
    let is_drawn = sheet.runs.iter().any(|run| is_surface(run.of.model));
    if simulator.name() != Lorenz.name() || !is_drawn {
        return Ok(());
    }
    draw_surface(sheet)?;
    draw_sections(sheet)
}

fn is_surface(model: &dyn Model) -> bool {
    let s = model.signature();
    (s.data_dim, s.manifold_dim, s.charts, s.context_dim) == (3, 2, 1, None)
}

/// Points of the attractor that are far from one another in time.
fn dots() -> impl Iterator<Item = [f64; 3]> {
    Lorenz::trajectories().iter().copied().step_by(EVERY).take(DOTS)
}

fn draw_surface(sheet: &mut Sheet<'_>) -> Result<()> {
    let title = "Points of trajectories".to_owned();
    let truth = SurfacePanel { title, scatter: dots().collect(), ..SurfacePanel::default() };
    let runs = sheet.runs.iter().filter(|run| is_surface(run.of.model));
    let learned = runs.map(|run| surface(run, sheet.experiment.seed));
    let mut panels = vec![];
    for panel in [Ok(truth)].into_iter().chain(learned) {
        let panel = panel?;
        for (k, camera) in CAMERAS.into_iter().enumerate() {
            // One title in the middle stands for the row.
            let title = if k == 1 { panel.title.clone() } else { String::new() };
            panels.push(SurfacePanel { camera: Some(camera), title, ..panel.clone() });
        }
    }
    let style = SurfaceStyle {
        columns: CAMERAS.len(),
        panel_size: [520, 520],
        text_scale: 1.35,
        limits: Some(BOX),
        dot_radius: 1.2,
        ..SurfaceStyle::default()
    };
    Ok(draw_surfaces(&panels, &style, &sheet.path("lorenz"))?)
}

/// The decoded grid of latents, where there are samples.
fn surface(run: &Drawn<'_>, seed: u64) -> Result<SurfacePanel> {
    /// Latents reach as far.
    const REACH: f64 = 4.;
    let of = run.of;
    let latents = of.model.sample_latent(SAMPLES, &mut Stream::new(seed, "latents"))?;
    let latents = of.by_rows(&latents, None, |z, _| Ok(z.clone()))?;
    let mut sorted = decoded(of, &latents, &[])?.log_density;
    sorted.sort_by(f64::total_cmp);
    let least = sorted[CUT];
    let at = |k: usize| REACH * (2. * k as f64 / (GRID - 1) as f64 - 1.);
    let grid: Vec<f64> = (0..GRID * GRID).flat_map(|k| [at(k / GRID), at(k % GRID)]).collect();
    let surface = decoded(of, &grid, &[])?;
    let value = surface.log_density.iter().map(|&v| if v >= least { v } else { f64::NAN });
    Ok(SurfacePanel {
        title: run.title.clone(),
        points: surface.points.as_chunks().0.to_vec(),
        rows: GRID,
        cols: GRID,
        value: value.collect(),
        ..SurfacePanel::default()
    })
}

/// Where the two curves are, and what lies along each of them.
fn draw_sections(sheet: &mut Sheet<'_>) -> Result<()> {
    let sections = lorenz_sections()?;
    let height = sections[0].height;
    let ends = sections.iter().flat_map(|s| [s.edges[0], s.edges[s.edges.len() - 1]]);
    let cut = Shape::Line(ends.map(|x| (x, height)).collect());
    let points = Shape::Dots(dots().map(|point| (point[0], point[2])).collect());
    let mut panels = vec![Panel {
        title: "The plane of both sections".to_owned(),
        x_label: "x₁ (standardised)".to_owned(),
        y_label: "x₃ (standardised)".to_owned(),
        layers: vec![Layer::new("", Ink::Faint, points), Layer::new("", Ink::Truth, cut)],
        ..Panel::default()
    }];
    for (section, title) in sections.iter().zip(["Left wing", "Right wing"]) {
        panels.push(section_panel(sheet, section, title)?);
    }
    Ok(draw_panels(&panels, &PanelStyle::default(), &sheet.path("lorenz-sections"))?)
}

/// A histogram of trajectories under the densities of models.
fn section_panel(sheet: &Sheet<'_>, section: &Section, title: &str) -> Result<Panel> {
    let heights = |shares: Vec<f64>| -> Vec<f64> {
        let widths = section.edges.windows(2).map(|ends| ends[1] - ends[0]);
        shares.into_iter().zip(widths).map(|(share, width)| share / width).collect()
    };
    let edges = section.edges.clone();
    let truth = heights(section.of_points(Lorenz::trajectories(), LORENZ_SLAB)?);
    let mut top = truth.iter().copied().fold(0., f64::max);
    let bars = Shape::Bars { edges, heights: truth };
    let mut layers = vec![Layer::new("points of trajectories", Ink::Faint, bars)];
    for (k, run) in sheet.runs.iter().enumerate().filter(|(_, run)| is_surface(run.of.model)) {
        let shares = match section.of_model(run.of, SECTION_CELLS) {
            Ok(shares) => shares,
            // A surface that does not meet the plane has no line.
            Err(mflow_eval::Error::NoSamples) => continue,
            Err(error) => return Err(error.into()),
        };
        let ends = section.edges.windows(2).zip(heights(shares));
        let steps: Vec<(f64, f64)> = ends.flat_map(|(x, y)| [(x[0], y), (x[1], y)]).collect();
        top = steps.iter().map(|point| point.1).fold(top, f64::max);
        layers.push(Layer::new(&run.title, Ink::Series(k), Shape::Line(steps)));
    }
    Ok(Panel {
        title: title.to_owned(),
        x_label: "x₁ (standardised)".to_owned(),
        y_label: "density of x₁".to_owned(),
        y_limits: Some([0., 1.06 * top]),
        layers,
        ..Panel::default()
    })
}
