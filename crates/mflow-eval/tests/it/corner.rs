//! Corner plots, and the smoothed densities in them. Oracle: Gaussians and uniform densities in closed form, counts and
//! places of the SVG's elements, typed errors.
use crate::picture::{count, groups, png_size};
use mflow_bijectors::Stream;
use mflow_eval::Error;
use mflow_eval::figures::{Corner, corner_svg, draw_corner};
use mflow_eval::statistics::{Window, highest_density_level, smoothed_plane};
use std::f64::consts::{PI, TAU};
use std::path::Path;
use tempfile::tempdir;

/// Pairs of a Gaussian whose covariance is `[[1, 3 rho], [3 rho, 9]]`.
fn gaussian(n: usize, rho: f64) -> Vec<(f64, f64)> {
    let z = Stream::new(1, "pairs").normal(2 * n);
    let pair = |z: &[f64]| (z[0], 3. * (rho * z[0] + (1. - rho * rho).sqrt() * z[1]));
    z.chunks(2).map(pair).collect()
}

/// The area within a closed line, by the shoelace formula.
fn area(line: &[(f64, f64)]) -> f64 {
    line.windows(2).map(|w| w[0].0 * w[1].1 - w[1].0 * w[0].1).sum::<f64>().abs() / 2.
}

#[test]
fn regions_of_a_gaussian_are_its_ellipses() {
    for rho in [0., 0.95] {
        let pairs = gaussian(20_000, rho);
        let limits = [[-4.5, 4.5], [-13.5, 13.5]];
        let window = Window { limits, ends: [[false; 2]; 2], cells: 64 };
        let field = smoothed_plane(&pairs, &window).unwrap();
        for share in [0.68, 0.95] {
            let level = highest_density_level(&field.values, share).unwrap();
            let lines = field.contour(level).unwrap();
            let outer = lines.iter().map(|line| area(line)).fold(0., f64::max);
            // -2 ln(1 - share) is the squared radius, in units of the covariance.
            let determinant = 9. * (1. - rho * rho);
            let exact = PI * -2. * (1_f64 - share).ln() * determinant.sqrt();
            // The kernel widens all directions by Scott's factor, and a thin ridge by half a cell.
            let ratio = outer / exact;
            assert!((0.95..1.15).contains(&ratio), "{rho}, {share}: {outer}, {exact}");
        }
        // Values at the middle and a deviation away, up to the noise of the counts.
        let at = |x: f64, y: f64| {
            let cell = |v: f64, low: f64, high: f64, grid: &[f64]| {
                let step = (high - low) / grid.len() as f64;
                grid.iter().position(|g| (g - v).abs() <= 0.5 * step).unwrap()
            };
            let (i, j) = (cell(x, -4.5, 4.5, &field.x), cell(y, -13.5, 13.5, &field.y));
            field.values[i * field.y.len() + j]
        };
        let fall = at(0., 0.) - at(1., 3. * rho);
        assert!((fall - 0.5).abs() < 0.15, "{rho}: {fall}");
    }
}

#[test]
fn a_density_does_not_fall_at_an_end_that_is_told() {
    // Uniform on the unit square.
    let values = Stream::new(2, "square").uniform(80_000, 0., 1.);
    let pairs: Vec<(f64, f64)> = values.chunks(2).map(|v| (v[0], v[1])).collect();
    let level_at_corner = |ends: bool| {
        let window = Window { limits: [[0., 1.]; 2], ends: [[ends; 2]; 2], cells: 40 };
        let field = smoothed_plane(&pairs, &window).unwrap();
        let middle = field.values[20 * 40 + 20];
        [0, 39, 39 * 40, 39 * 40 + 39].map(|at| (field.values[at] - middle).exp())
    };
    assert!(
        level_at_corner(true).iter().all(|v| (v - 1.).abs() < 0.2),
        "{:?}",
        level_at_corner(true)
    );
    assert!(level_at_corner(false).iter().all(|v| *v < 0.5), "a quarter of the mass is left there");
}

#[test]
fn what_has_no_density_is_refused() {
    let window = |limits, cells| Window { limits, ends: [[false; 2]; 2], cells };
    let pairs = [(0.5, 0.5)];
    let run = |window: &Window| smoothed_plane(&pairs, window);
    let bad =
        [window([[0., 1.], [1., 1.]], 9), window([[0., 1.]; 2], 1), window([[f64::NAN, 1.]; 2], 9)];
    for window in bad {
        assert!(matches!(run(&window), Err(Error::Table { .. })), "{window:?}");
    }
    assert!(matches!(run(&window([[2., 3.]; 2], 9)), Err(Error::NoSamples)), "nothing inside");
    // All in one place.
    let field = run(&window([[0., 1.]; 2], 9)).unwrap();
    let top = field.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert_eq!(field.values[4 * 9 + 4], top, "the cell that has them");
}

struct Sample {
    samples: Vec<f64>,
    names: Vec<String>,
    bounds: Vec<Option<[f64; 2]>>,
}

/// `P` parameters on a bent line with noise.
fn sample(parameters: usize) -> Sample {
    let stream = &mut Stream::new(3, "corner");
    let row = |_| -> Vec<f64> {
        let z = stream.normal(parameters + 1);
        (0..parameters).map(|k| (z[0] + TAU * k as f64).sin() + 0.3 * z[k + 1]).collect()
    };
    let samples = (0..400).flat_map(row).collect();
    let names = (0..parameters).map(|k| format!("a<{k}>")).collect();
    Sample { samples, names, bounds: vec![None; parameters] }
}

impl Sample {
    fn corner<'a>(&'a self, truth: Option<&'a [f64]>) -> Corner<'a> {
        Corner { samples: &self.samples, names: &self.names, bounds: &self.bounds, truth }
    }
}

#[test]
fn every_parameter_and_every_pair_has_a_panel() {
    for parameters in [1, 2, 3, 6] {
        let sample = sample(parameters);
        let svg = corner_svg(&sample.corner(None)).unwrap();
        let panels = groups(&svg, "panel");
        assert_eq!(panels.len(), parameters * (parameters + 1) / 2, "{parameters}");
        let bars = panels.iter().filter(|panel| count(panel, "<rect") > 0).count();
        assert_eq!(bars, parameters, "a histogram of each");
        let dots = panels.iter().filter(|panel| count(panel, "<circle") > 300).count();
        assert_eq!(dots, parameters * (parameters - 1) / 2, "draws of each pair");
        for k in 0..parameters {
            let name = format!(">a&lt;{k}&gt;</text>");
            // Under its column, and beside its row but the first.
            assert_eq!(count(&svg, &name), if k == 0 { 1 } else { 2 }, "{name}");
            assert_eq!(count(&svg, &format!(">a&lt;{k}&gt; = ")), 1, "its median and quantiles");
        }
        assert_eq!(count(&svg, ">true parameters</text>"), 0, "nobody knows them");
        let truth = vec![0.25; parameters];
        let svg = corner_svg(&sample.corner(Some(&truth))).unwrap();
        assert_eq!(count(&svg, ">true parameters</text>"), 1, "in the legend");
    }
}

#[test]
fn titles_are_medians_and_quantiles() {
    let samples: Vec<f64> = (0..=100).map(|k| f64::from(k) / 100. - 0.5).collect();
    let (names, bounds) = ([String::from("a")], [Some([-0.5, 0.5])]);
    let corner = Corner { samples: &samples, names: &names, bounds: &bounds, truth: None };
    let svg = corner_svg(&corner).unwrap();
    assert!(svg.contains(">a = 0.00 (\u{2212}0.45 to 0.45)</text>"), "by hand");
}

#[test]
fn files_are_pictures_and_bad_input_is_a_typed_error() {
    let folder = tempdir().unwrap();
    let (png, svg) = (folder.path().join("c.png"), folder.path().join("c.svg"));
    let of_two = sample(2);
    draw_corner(&of_two.corner(None), &png).unwrap();
    let [width, height] = png_size(&std::fs::read(&png).unwrap());
    assert!(width > 600 && height > 600, "{width} x {height}");
    draw_corner(&of_two.corner(None), &svg).unwrap();
    let text = std::fs::read_to_string(&svg).unwrap();
    assert_eq!(text, corner_svg(&of_two.corner(None)).unwrap(), "the same picture");

    let error = draw_corner(&of_two.corner(None), Path::new("c.jpg")).unwrap_err();
    assert!(matches!(error, Error::Extension { .. }), "{error}");
    let error = corner_svg(&of_two.corner(Some(&[0.]))).unwrap_err();
    assert!(matches!(error, Error::Columns { expected: 2, found: 1 }), "{error}");
    let error = corner_svg(&Corner { samples: &[1.; 3], ..of_two.corner(None) }).unwrap_err();
    assert!(matches!(error, Error::Rows { cols: 2, found: 3 }), "{error}");
    let error = corner_svg(&Corner { samples: &[], ..of_two.corner(None) }).unwrap_err();
    assert!(matches!(error, Error::NoSamples), "{error}");
    let error =
        corner_svg(&Corner { samples: &[1., f64::NAN], ..of_two.corner(None) }).unwrap_err();
    assert!(matches!(error, Error::NonFiniteSample { .. }), "{error}");
    // Chains that never moved, and more parameters than fit.
    assert!(corner_svg(&Corner { samples: &[1.; 20], ..of_two.corner(None) }).is_ok(), "one place");
    let many = corner_svg(&sample(12).corner(None)).unwrap();
    assert_eq!(groups(&many, "panel").len(), 55, "the first ten");
}
