//! Surfaces. Oracle: counts of the SVG's elements, pixels of the PNG, and typed errors.

use std::fs;
use std::path::Path;

use mflow_eval::Error;
use mflow_eval::figures::{Camera, Limits, SurfacePanel, SurfaceStyle, draw_surfaces};
use tempfile::tempdir;

use crate::picture::{count, groups, png_size};

/// A plane over `[0, 4] x [0, 3]`, 5 x 4 points, whose value is the number of the point.
fn panel() -> SurfacePanel {
    let mut panel =
        SurfacePanel { title: "a & b".to_owned(), rows: 5, cols: 4, ..Default::default() };
    for (x, y) in (0..5_u32).flat_map(|x| (0..4_u32).map(move |y| (x, y))) {
        panel.points.push([f64::from(x), f64::from(y), 0.5 * f64::from(x)]);
        panel.value.push(f64::from(4 * x + y));
    }
    panel
}

fn svg(panels: &[SurfacePanel], style: &SurfaceStyle) -> String {
    let folder = tempdir().expect("a temporary folder");
    let path = folder.path().join("surfaces.svg");
    draw_surfaces(panels, style, &path).expect("a figure");
    fs::read_to_string(path).expect("the file of the figure")
}

fn png(panels: &[SurfacePanel]) -> Vec<u8> {
    let folder = tempdir().expect("a temporary folder");
    let path = folder.path().join("surfaces.png");
    draw_surfaces(panels, &SurfaceStyle::default(), &path).expect("a figure");
    fs::read(path).expect("the file of the figure")
}

#[test]
fn the_png_has_the_size_asked_for_and_shows_the_values() {
    let mut changed = panel();
    changed.value[7] += 3.0;
    let (first, again, second) = (png(&[panel()]), png(&[panel()]), png(&[changed]));
    // 640 pixels, and 6.1 lines of 640 / 34 = 18 pixels for the colour bar.
    assert_eq!(png_size(&first), [800, 750], "one panel and the colour bar");
    assert_eq!(png_size(&png(&[panel(), panel()])), [1600, 750], "two panels");
    assert!(first == again, "the same input is the same file");
    assert!(first != second, "another value is another picture");
}

#[test]
fn every_quadrilateral_with_four_finite_vertices_is_drawn() {
    let style = SurfaceStyle::default();
    let polygons = |panel: SurfacePanel, style: &SurfaceStyle| {
        let svg = svg(&[panel], style);
        count(groups(&svg, "surface")[0], "<path")
    };
    assert_eq!(polygons(panel(), &style), 4 * 3, "all of a 5 x 4 grid");
    let mut inner = panel();
    inner.value[5] = f64::NAN; // row 1, column 1: the corner of four
    assert_eq!(polygons(inner, &style), 12 - 4, "without those around an inner vertex");
    let mut corner = panel();
    corner.points[0][2] = f64::INFINITY;
    assert_eq!(polygons(corner, &style), 12 - 1, "without the one at a corner");
    let mut zero = panel();
    zero.value[1] = f64::NEG_INFINITY; // the logarithm of a density of 0
    assert_eq!(polygons(zero, &style), 12 - 2, "without the two at a border's vertex");
    let limits = Some(Limits { low: [-1.0; 3], high: [2.5, 5.0, 5.0] });
    let limited = SurfaceStyle { limits, ..style };
    assert_eq!(polygons(panel(), &limited), 2 * 3, "rows 0 to 2 are inside the limits");
}

#[test]
fn the_points_of_the_scatter_are_drawn_where_they_are_finite() {
    let mut dotted = panel();
    dotted.scatter = vec![[1.0, 1.0, 1.0], [2.0, 2.0, 0.0], [f64::NAN, 0.0, 0.0]];
    let svg = svg(&[panel(), dotted], &SurfaceStyle::default());
    let surfaces = groups(&svg, "surface");
    assert_eq!(count(surfaces[0], "<circle"), 0, "no scatter");
    assert_eq!(count(surfaces[1], "<circle"), 2, "two finite points");
}

#[test]
fn points_alone_have_no_colour_bar() {
    let scatter = vec![[1.0, 1.0, 1.0], [2.0, 2.0, 0.0]];
    let points = SurfacePanel { scatter, ..SurfacePanel::default() };
    // 640 pixels, less 1.5 lines of 640 / 27 = 23 for a title that there is not.
    assert_eq!(png_size(&png(std::slice::from_ref(&points))), [800, 606], "no colour bar");
    assert_eq!(png_size(&png(&[points, panel()])), [1600, 750], "one for the surface beside");
}

#[test]
fn panels_share_box_and_colours() {
    let style = SurfaceStyle::default();
    let alone = svg(&[panel()], &style);
    let equal = svg(&[panel(), panel()], &style);
    let after = |group: &str, key: &str| -> Vec<String> {
        group
            .split(key)
            .skip(1)
            .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
            .collect()
    };
    let fills = |group: &str| after(group, "fill=\"");
    let places = |group: &str| after(group, " d=\"");
    let surfaces = groups(&equal, "surface");
    assert_eq!(fills(surfaces[0]), fills(surfaces[1]), "equal panels have equal colours");
    let first = groups(&alone, "surface")[0];
    assert_eq!(places(surfaces[0]), places(first), "a second, equal panel moves nothing");

    let mut high = panel();
    high.value.iter_mut().for_each(|value| *value += 100.0);
    let mixed = svg(&[panel(), high], &style);
    let surfaces = groups(&mixed, "surface");
    assert_ne!(fills(surfaces[0]), fills(first), "colours are shared");
    assert_ne!(fills(surfaces[0]), fills(surfaces[1]), "and show that one panel is higher");

    let mut far = panel();
    far.points.iter_mut().for_each(|point| point[0] += 10.0);
    let moved = svg(&[panel(), far], &style);
    let moved = places(groups(&moved, "surface")[0]);
    assert_ne!(moved, places(first), "the box is shared");
}

#[test]
fn nearer_quadrilaterals_are_drawn_over_farther_ones() {
    // Seen from the direction of the first axis, x orders the faces: the value (and so the colour)
    // grows with x, from viridis' dark end to its bright one.
    let camera = Camera { azimuth: 0.0, elevation: 1.0 };
    let svg = svg(&[panel()], &SurfaceStyle { camera, ..SurfaceStyle::default() });
    let surface = groups(&svg, "surface")[0];
    let green = |fill: &str| u8::from_str_radix(&fill[2..4], 16).unwrap();
    let rows: Vec<u8> = surface.split("fill=\"#").skip(1).map(green).collect();
    assert!(rows[0] < rows[11], "the last face drawn, {}, is not the near one", rows[11]);
    let sums: Vec<u32> =
        rows.chunks(3).map(|row| row.iter().map(|&g| u32::from(g)).sum()).collect();
    assert!(sums.is_sorted(), "rows from far to near: {sums:?}");
}

#[test]
fn titles_axes_and_the_colour_bar_are_labelled() {
    let svg = svg(&[panel()], &SurfaceStyle::default());
    for label in ["a &amp; b", "x₁", "x₂", "x₃", "log-density [nats]"] {
        assert_eq!(count(&svg, &format!(">{label}</text>")), 1, "{label}");
    }
    assert_eq!(count(&svg, "98th percentile"), 1, "where the colours end");
    let mut flat = panel();
    flat.value.fill(2.0);
    let svg = self::svg(&[flat], &SurfaceStyle::default());
    assert_eq!(count(&svg, "98th percentile"), 0, "nothing lies beyond one value");
}

#[test]
fn what_cannot_be_drawn_is_a_typed_error() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("surfaces.png");
    let style = SurfaceStyle::default();
    let error = |panels: &[SurfacePanel], style: &SurfaceStyle, path: &Path| {
        draw_surfaces(panels, style, path).unwrap_err()
    };

    let found = error(&[], &style, &path);
    assert!(matches!(found, Error::EmptyFigure { .. }), "no panel gave {found:?}");
    let found = error(&[SurfacePanel::default()], &style, &path);
    assert!(matches!(found, Error::GridTooSmall { rows: 0, .. }), "an empty one gave {found:?}");
    let mut short = panel();
    short.value.pop();
    let found = error(&[panel(), short], &style, &path);
    let length = matches!(found, Error::PanelLength { what: "value", expected: 20, found: 19, .. });
    assert!(length, "19 values gave {found:?}");
    let mut long = panel();
    long.points.push([0.0; 3]);
    let found = error(&[long], &style, &path);
    assert!(matches!(found, Error::PanelLength { what: "points", .. }), "21 gave {found:?}");
    let mut blank = panel();
    blank.value.fill(f64::NAN);
    let found = error(&[blank], &style, &path);
    assert!(matches!(found, Error::NothingToDraw { vertices: 20, .. }), "NaN gave {found:?}");
    for elevation in [0.0, 90.0, f64::NAN] {
        let camera = Camera { elevation, ..Camera::default() };
        let found = error(&[panel()], &SurfaceStyle { camera, ..style.clone() }, &path);
        let named = matches!(found, Error::Style { what: "elevation", .. });
        assert!(named, "{elevation} degrees gave {found:?}");
    }
    let limits = Some(Limits { low: [1.0; 3], high: [0.0; 3] });
    let found = error(&[panel()], &SurfaceStyle { limits, ..style.clone() }, &path);
    assert!(matches!(found, Error::Style { what: "limits", .. }), "reversed gave {found:?}");
    let found = error(&[panel()], &style, &folder.path().join("surfaces"));
    assert!(matches!(found, Error::Extension { .. }), "no ending gave {found:?}");
    assert!(!path.exists(), "no error leaves a file");
    let found = error(&[panel()], &style, &folder.path().join("missing").join("surfaces.png"));
    assert!(matches!(found, Error::Write { .. }), "a missing folder gave {found:?}");
}
