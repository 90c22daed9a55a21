//! Training curves. Oracle: the structure of the SVG, the header of the PNG, and typed errors.

use std::fs;
use std::path::Path;

use mflow_eval::Error;
use mflow_eval::figures::{Boundary, CurveStyle, Series, draw_curves};
use tempfile::tempdir;

use crate::picture::{count, groups, png_size};

fn series(points: &[(f64, f64)]) -> Series {
    Series { name: "loss".to_owned(), points: points.to_vec() }
}

#[test]
fn the_png_has_the_size_asked_for() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("curves.PNG");
    let style = CurveStyle { size: [640, 480], ..CurveStyle::default() };
    draw_curves(&[series(&[(0.0, 1.0), (1.0, 2.0)])], &[], &style, &path).unwrap();
    assert_eq!(png_size(&fs::read(&path).unwrap()), [640, 480], "header of the PNG");
}

#[test]
fn gaps_break_the_line_and_every_label_is_there() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("curves.svg");
    let gap = f64::NAN;
    // Two runs of two points and, between two gaps, one alone.
    let broken =
        [(0.0, 1.0), (1.0, 0.5), (2.0, gap), (3.0, 0.2), (4.0, gap), (5.0, 0.1), (6.0, 0.1)];
    let boundary = |at, label: &str| Boundary { at, label: label.to_owned() };
    let boundaries = [boundary(0.0, "manifold phase"), boundary(0.1, "density phase")];
    for log_y in [false, true] {
        let style = CurveStyle { log_y, title: "A < B".to_owned(), ..CurveStyle::default() };
        draw_curves(&[series(&broken), series(&[(2.0, 3.0)])], &boundaries, &style, &path).unwrap();
        let svg = fs::read_to_string(&path).unwrap();
        let curves = groups(&svg, "series");
        assert_eq!(curves.len(), 2, "one group for each series, log_y {log_y}");
        assert_eq!(count(curves[0], "<path"), 2, "lines of the broken series, log_y {log_y}");
        assert_eq!(count(curves[0], "<circle"), 1, "its lone point, log_y {log_y}");
        assert_eq!(count(curves[1], "<circle"), 1, "a series of one point, log_y {log_y}");
        for label in ["manifold phase", "density phase", "A &lt; B", "epoch"] {
            assert_eq!(count(&svg, &format!(">{label}</text>")), 1, "{label}, log_y {log_y}");
        }
        assert_eq!(count(&svg, ">loss</text>"), 3, "the y axis and two entries of the legend");
        assert_eq!(count(&svg, "stroke-dasharray"), 2, "two boundaries, log_y {log_y}");
    }
}

#[test]
fn labels_of_near_boundaries_stand_in_different_rows() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("curves.svg");
    let at = |at| Boundary { at, label: "phase".to_owned() };
    let line = series(&[(0.0, 1.0), (100.0, 2.0)]);
    draw_curves(&[line], &[at(0.0), at(1.0), at(50.0)], &CurveStyle::default(), &path).unwrap();
    let svg = fs::read_to_string(&path).unwrap();
    let height =
        |text: &str| text.split("y=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let labels: Vec<_> = svg.lines().filter(|l| l.contains(">phase<")).map(height).collect();
    assert_eq!(labels.len(), 3, "three labels");
    assert_ne!(labels[0], labels[1], "the second would overlap the first");
    assert_eq!(labels[0], labels[2], "the third has room in the lowest row");
}

#[test]
fn powers_are_equally_far_apart_on_logarithmic_axes() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("curves.svg");
    let style = CurveStyle { log_x: true, log_y: true, ..CurveStyle::default() };
    let at = |at| Boundary { at, label: format!("at {at}") };
    let line = series(&[(10.0, 1e-3), (20.0, 1e-2), (100.0, 1.0)]);
    draw_curves(&[line], &[at(10.0), at(20.0), at(40.0)], &style, &path).unwrap();
    let svg = fs::read_to_string(&path).unwrap();
    for label in ["10", "20", "50", "100", "10⁻³"] {
        assert_eq!(count(&svg, &format!(">{label}</text>")), 1, "the tick {label}");
    }
    let lines = svg.lines().filter(|line| line.contains("stroke-dasharray"));
    let x = |line: &str| line.split("x1=\"").nth(1).unwrap().split('"').next().unwrap().parse();
    let x: Vec<f64> = lines.map(|line| x(line).unwrap()).collect();
    assert!((x[1] - x[0] - (x[2] - x[1])).abs() < 0.1, "equal ratios, equal steps: {x:?}");
}

#[test]
fn what_cannot_be_drawn_is_a_typed_error() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("curves.png");
    let style = CurveStyle::default();
    let log = CurveStyle { log_y: true, ..style.clone() };
    let line = [series(&[(0.0, 1.0), (1.0, 0.0)])];
    let error = |series: &[Series], boundaries: &[Boundary], style: &CurveStyle, path: &Path| {
        draw_curves(series, boundaries, style, path).unwrap_err()
    };

    let found = error(&[], &[], &style, &path);
    assert!(matches!(found, Error::EmptyFigure { .. }), "no series gave {found:?}");
    let found = error(&[series(&[(0.0, f64::NAN)])], &[], &style, &path);
    assert!(matches!(found, Error::EmptySeries { points: 1, .. }), "only NaN gave {found:?}");
    let found = error(&line, &[], &log, &path);
    assert!(matches!(found, Error::NotPositive { index: 1, .. }), "log of 0 gave {found:?}");
    let log_x = CurveStyle { log_x: true, ..style.clone() };
    let found = error(&line, &[], &log_x, &path);
    assert!(matches!(found, Error::NotPositive { index: 0, axis: 'x', .. }), "x 0 gave {found:?}");
    let boundary = Boundary { at: f64::NAN, label: "phase".to_owned() };
    let found = error(&line, &[boundary], &style, &path);
    assert!(matches!(found, Error::NonFiniteBoundary { .. }), "NaN gave {found:?}");
    let found = error(&line, &[], &CurveStyle { size: [10, 700], ..style.clone() }, &path);
    assert!(matches!(found, Error::Style { what: "size", .. }), "10 pixels gave {found:?}");
    let found = error(&line, &[], &style, Path::new("curves.jpg"));
    assert!(matches!(found, Error::Extension { .. }), "a JPEG gave {found:?}");
    assert!(!path.exists(), "no error leaves a file");
}
