//! Panels of planes. Oracle: counts and places of the SVG's elements, the header of the PNG, and typed errors.

use std::fs;
use std::path::Path;

use mflow_eval::Error;
use mflow_eval::figures::{Ink, Layer, Panel, PanelStyle, Shape, draw_panels};
use tempfile::tempdir;

use crate::picture::{count, groups, png_size};

fn panel(layers: Vec<Layer>) -> Panel {
    Panel { title: "A < B".to_owned(), x_label: "x [m]".to_owned(), layers, ..Panel::default() }
}

fn line(name: &str, run: usize, points: &[(f64, f64)]) -> Layer {
    Layer::new(name, Ink::Series(run), Shape::Line(points.to_vec()))
}

fn svg(panels: &[Panel]) -> String {
    let folder = tempdir().unwrap();
    let path = folder.path().join("panels.svg");
    draw_panels(panels, &PanelStyle::default(), &path).unwrap();
    fs::read_to_string(path).unwrap()
}

/// The numbers after `key` in the elements of a group.
fn numbers(group: &str, key: &str) -> Vec<f64> {
    let number = |rest: &str| rest.split('"').next().unwrap().parse().unwrap();
    group.split(&format!("{key}=\"")).skip(1).map(number).collect()
}

#[test]
fn rows_of_panels_make_the_size() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("panels.png");
    let style = PanelStyle { columns: 2, panel_size: [500, 420], ..PanelStyle::default() };
    let one = || panel(vec![line("", 0, &[(0.0, 1.0), (1.0, 2.0)])]);
    draw_panels(&[one(), one(), one()], &style, &path).unwrap();
    assert_eq!(png_size(&fs::read(&path).unwrap()), [1000, 840], "2 rows of 2, without a legend");
    draw_panels(&[one()], &style, &path).unwrap();
    assert_eq!(png_size(&fs::read(&path).unwrap()), [500, 420], "one alone");
}

#[test]
fn a_name_is_once_in_the_legend() {
    let points = [(0.0, 1.0), (1.0, 2.0)];
    let both = || panel(vec![line("first", 0, &points), line("second", 1, &points)]);
    let found = svg(&[both(), both()]);
    for (label, times) in [("first", 1), ("second", 1), ("A &lt; B", 2), ("x [m]", 2)] {
        assert_eq!(count(&found, &format!(">{label}</text>")), times, "{label}");
    }
    assert!(!found.contains("log-density"), "no colour bar without coloured lines");
}

#[test]
fn shapes_are_drawn_within_the_limits() {
    let points = vec![(-1.0, 0.5), (0.5, 0.5), (f64::NAN, 0.0), (0.6, 0.5), (0.7, 3.0)];
    let bars = Shape::Bars { edges: vec![0.0, 0.5, 1.0], heights: vec![0.3, 9.0] };
    let layers = vec![
        Layer::new("bars", Ink::Faint, bars),
        Layer::new("line", Ink::Truth, Shape::Line(points.clone())),
        Layer::new("dots", Ink::Truth, Shape::Dots(points)),
        Layer::new("mark", Ink::Faint, Shape::Mark(0.25)),
    ];
    let limits = Some([0.0, 1.0]);
    let found = svg(&[Panel { x_limits: limits, y_limits: limits, ..panel(layers) }]);
    let group = groups(&found, "panel")[0];
    assert_eq!(count(group, "<rect"), 2, "two bars");
    assert_eq!(count(group, "<path"), 3, "two pieces of the line, and the mark");
    assert_eq!(count(group, "<circle"), 2, "two points are inside");
    let heights = numbers(group, " height");
    assert!((heights[0] / heights[1] - 0.3).abs() < 1e-3, "cut off at 1: {heights:?}");
    let widths = numbers(group, " width");
    assert!((widths[0] - widths[1]).abs() < 0.1, "as wide as one another: {widths:?}");
}

#[test]
fn units_are_as_long_on_both_axes() {
    // The corners of a square.
    let corners = vec![(0.0, 0.0), (2.0, 0.0), (0.0, 2.0), (2.0, 2.0)];
    let dots = || vec![Layer::new("", Ink::Truth, Shape::Dots(corners.clone()))];
    let limits = (Some([-1.0, 3.0]), Some([-1.0, 5.0]));
    let sides = |equal_units| {
        let panel = Panel { equal_units, x_limits: limits.0, y_limits: limits.1, ..panel(dots()) };
        let found = svg(&[panel]);
        let group = groups(&found, "panel")[0];
        let (x, y) = (numbers(group, "cx"), numbers(group, "cy"));
        (x[1] - x[0], y[0] - y[2])
    };
    let (x, y) = sides(true);
    assert!((x - y).abs() < 0.1 && x > 50.0, "a square is one: {x} by {y}");
    let (x, y) = sides(false);
    assert!((x - y).abs() > 20.0, "and is not else: {x} by {y}");
}

#[test]
fn colours_are_shared_by_all_panels() {
    let colored = |from: f64| {
        let points = vec![(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)];
        let value = vec![from, from + 1.0, from + 2.0];
        panel(vec![Layer::new("", Ink::Truth, Shape::Colored { points, value })])
    };
    let strokes = |svg: &str, k: usize| -> Vec<String> {
        let group = groups(svg, "panel")[k].to_owned();
        let colors = group.split("stroke=\"").skip(1);
        colors.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let equal = svg(&[colored(0.0), colored(0.0)]);
    assert_eq!(strokes(&equal, 0), strokes(&equal, 1), "equal numbers, equal colours");
    assert_ne!(strokes(&equal, 0)[0], strokes(&equal, 0)[1], "other numbers, others");
    assert_eq!(count(&equal, ">log-density [nats]</text>"), 1, "one colour bar");
    let mixed = svg(&[colored(0.0), colored(5.0)]);
    assert_ne!(strokes(&mixed, 0), strokes(&mixed, 1), "a scale for both");
    assert_ne!(strokes(&mixed, 0), strokes(&equal, 0), "that depends on both");
}

#[test]
fn what_cannot_be_drawn_is_a_typed_error() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("panels.png");
    let style = PanelStyle::default();
    let error = |panels: &[Panel], style: &PanelStyle, path: &Path| {
        draw_panels(panels, style, path).unwrap_err()
    };
    let points = [(0.0, 1.0), (1.0, 0.0)];
    let one = || panel(vec![line("", 0, &points)]);

    let found = error(&[], &style, &path);
    assert!(matches!(found, Error::EmptyFigure { .. }), "no panel gave {found:?}");
    let found = error(&[panel(vec![line("", 0, &[(0.0, f64::NAN)])])], &style, &path);
    assert!(matches!(found, Error::EmptySeries { points: 1, .. }), "only NaN gave {found:?}");
    let found = error(&[Panel { log_y: true, ..one() }], &style, &path);
    assert!(matches!(found, Error::NotPositive { index: 1, .. }), "log of 0 gave {found:?}");
    let bars = Shape::Bars { edges: vec![0.0, 1.0], heights: vec![1.0, 2.0] };
    let found = error(&[panel(vec![Layer::new("", Ink::Truth, bars)])], &style, &path);
    let length = matches!(found, Error::PanelLength { what: "edges", expected: 3, found: 2, .. });
    assert!(length, "two bars of two edges gave {found:?}");
    let value = vec![0.0];
    let colored = Shape::Colored { points: points.to_vec(), value };
    let found = error(&[panel(vec![Layer::new("", Ink::Truth, colored)])], &style, &path);
    assert!(matches!(found, Error::PanelLength { what: "value", .. }), "one value gave {found:?}");
    let found = error(&[Panel { y_limits: Some([1.0, 0.0]), ..one() }], &style, &path);
    assert!(matches!(found, Error::Style { what: "y_limits", .. }), "reversed gave {found:?}");
    let small = PanelStyle { panel_size: [100, 480], ..style.clone() };
    let found = error(&[one()], &small, &path);
    assert!(matches!(found, Error::Style { what: "panel_size", .. }), "100 pixels: {found:?}");
    let found = error(&[one()], &style, Path::new("panels.jpg"));
    assert!(matches!(found, Error::Extension { .. }), "a JPEG gave {found:?}");
    assert!(!path.exists(), "no error leaves a file");
}
