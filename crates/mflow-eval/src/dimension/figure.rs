//! The picture of the curves.
use super::{DimensionCurve, DimensionStudy};
use crate::figures::{Ink, Layer, Panel, PanelStyle, Shape, draw_panels};
use crate::{Error, Result};
use std::path::Path;

/// Draws the estimates over the size of neighbourhoods into the PNG or SVG file `path`, with bars of one standard
/// error, and the recommended dimension as a dashed line.
///
/// # Errors
/// [`Error::EmptyFigure`] of a study without curves; what [`draw_panels`] refuses of the file.
pub fn draw_dimension(study: &DimensionStudy, title: &str, path: &Path) -> Result<()> {
    let points = || study.curves.iter().flat_map(|curve| &curve.points);
    let sizes = points().map(|point| (point.neighbours as f64).log2());
    let (first, last) = sizes.fold((f64::INFINITY, 0.), |(a, b), x| (x.min(a), x.max(b)));
    if !first.is_finite() {
        return Err(Error::EmptyFigure { expected: "curve" });
    }
    let recommended = study.recommended.map(|n| {
        let line = vec![(first, n as f64), (last, n as f64)];
        Layer::new(format!("recommended: {n}"), Ink::Truth, Shape::Dashes(line))
    });
    let layers = study.curves.iter().enumerate().flat_map(|(k, curve)| layers(k, curve));
    let top = points().map(|point| point.dimension).fold(0., f64::max);
    let panel = Panel {
        title: title.to_owned(),
        x_label: "log2 of neighbours".to_owned(),
        y_label: "dimension".to_owned(),
        x_limits: Some([first - 0.3, last + 0.3]),
        y_limits: Some([0., 1.15 * top]),
        layers: recommended.into_iter().chain(layers).collect(),
        ..Panel::default()
    };
    let style = PanelStyle { panel_size: [1000, 900], ..PanelStyle::default() };
    draw_panels(&[panel], &style, path)
}

/// A line through the estimates, dots on them, and their bars.
fn layers(k: usize, curve: &DimensionCurve) -> Vec<Layer> {
    let ink = Ink::Series(k);
    let at = |of: &super::DimensionPoint| ((of.neighbours as f64).log2(), of.dimension);
    let points: Vec<(f64, f64)> = curve.points.iter().map(at).collect();
    let bar = |of: &super::DimensionPoint| {
        let ((x, y), error) = (at(of), of.standard_error?);
        Some(Layer::new("", ink, Shape::Line(vec![(x, y - error), (x, y + error)])))
    };
    let line = Layer::new(curve.estimator.name(), ink, Shape::Line(points.clone()));
    let dots = Layer::new("", ink, Shape::Dots(points));
    [line, dots].into_iter().chain(curve.points.iter().filter_map(bar)).collect()
}
