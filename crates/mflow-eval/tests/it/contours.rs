//! Contours and the levels of densities. Oracle: circles of known radii, and a Gaussian, of which a circle of
//! radius `sqrt(-2 ln(1 - share))` standard deviations holds a share.

use mflow_data::Prior;
use mflow_eval::Error;
use mflow_eval::mcmc::{Tabulated, Target, tabulated_plane};
use mflow_eval::statistics::{Field, highest_density_level};

/// `f` over `[-3, 3]²`.
fn field(side: u32, f: impl Fn(f64, f64) -> f64) -> Field {
    let grid: Vec<f64> = (0..side).map(|k| -3. + 6. * f64::from(k) / f64::from(side - 1)).collect();
    let values = grid.iter().flat_map(|&x| grid.iter().map(move |&y| (x, y)));
    let values = values.map(|(x, y)| f(x, y)).collect();
    Field { x: grid.clone(), y: grid, values }
}

#[test]
fn circles_are_closed_and_round() {
    let lines = field(81, |x, y| x * x + y * y).contour(4.).unwrap();
    assert_eq!(lines.len(), 1, "one circle");
    assert_eq!(lines[0].first(), lines[0].last(), "closed");
    for &(x, y) in &lines[0] {
        assert!((x.hypot(y) - 2.).abs() < 1e-3, "({x}, {y}) on a circle of radius 2");
    }
    let length: f64 = lines[0].windows(2).map(|w| (w[1].0 - w[0].0).hypot(w[1].1 - w[0].1)).sum();
    assert!((length - 4. * std::f64::consts::PI).abs() < 0.01, "all round: {length}");
    let two = field(81, |x, y| ((x.abs() - 1.5).powi(2) + y * y).sqrt()).contour(1.).unwrap();
    assert_eq!(two.len(), 2, "two circles");
}

#[test]
fn lines_end_at_the_edge_and_at_holes() {
    let lines = field(7, |x, y| x + 0.5 * y).contour(0.2).unwrap();
    assert_eq!(lines.len(), 1, "one straight line");
    let ends = [lines[0][0], lines[0][lines[0].len() - 1]];
    for (x, y) in ends {
        assert!((y.abs() - 3.).abs() < 1e-12 && (x + 0.5 * y - 0.2).abs() < 1e-12, "({x}, {y})");
    }
    let hole = |x: f64, y: f64| if x.hypot(y) < 0.5 { f64::NAN } else { x + 0.5 * y };
    assert_eq!(field(7, hole).contour(0.2).unwrap().len(), 2, "cut in two by a hole");
    assert!(field(7, |x, _| x).contour(9.).unwrap().is_empty(), "a level nobody reaches");
}

#[test]
fn the_middle_of_a_cell_decides_at_a_saddle() {
    // High corners on one diagonal, and a middle above or below the level.
    for (values, low) in [([1., 0., 0., 1.], 0.4), ([1., 0., 0., 1.], 0.6)] {
        let field = Field { x: vec![0., 1.], y: vec![0., 1.], values: values.to_vec() };
        let lines = field.contour(low).unwrap();
        assert_eq!(lines.len(), 2, "two lines at {low}");
        // Above the level at (0, 0): its corner is cut off only if the middle is below the level.
        let around_origin =
            lines.iter().any(|line| line.iter().all(|(x, y)| *x == 0. && *y > 0. || *y == 0.));
        assert_eq!(around_origin, low > 0.5, "{lines:?} at {low}");
    }
}

#[test]
fn levels_of_a_gaussian_hold_their_share() {
    let field = field(241, |x, y| -2. * (x * x + y * y) + 7.);
    for share in [0.5_f64, 0.68, 0.95] {
        let level = highest_density_level(&field.values, share).unwrap();
        let radius = 0.5 * (-2. * (1. - share).ln()).sqrt();
        let expected = 7. - 2. * radius * radius;
        assert!((level - expected).abs() < 0.01, "share {share}: {level}, {expected}");
    }
    let found = highest_density_level(&[f64::NEG_INFINITY], 0.5).unwrap_err();
    assert!(matches!(found, Error::NoSamples), "no mass gave {found:?}");
    let found = highest_density_level(&[0., f64::NAN], 0.5).unwrap_err();
    assert!(matches!(found, Error::NonFiniteSample { index: 1, .. }), "NaN gave {found:?}");
}

/// Independent Gaussians of these means and widths, unnormalised.
#[derive(Debug)]
struct Gaussian(&'static [(f64, f64)]);

impl Target for Gaussian {
    fn dim(&self) -> usize {
        self.0.len()
    }
    fn log_prob(&self, theta: &[f64]) -> mflow_eval::Result<f64> {
        let term = |(t, (mean, width)): (&f64, &(f64, f64))| -0.5 * ((t - mean) / width).powi(2);
        Ok(1e4 + theta.iter().zip(self.0).map(term).sum::<f64>())
    }
}

fn parameter(low: f64, high: f64) -> Prior {
    Prior::Uniform { low, high }
}

#[test]
fn contours_of_a_posterior_have_the_radii_of_a_gaussian() {
    let (means, widths) = ([0.3, -2.], [0.05, 0.7]);
    let target = Gaussian(&[(0.3, 0.05), (-2., 0.7)]);
    let prior = [parameter(-1., 1.), parameter(-10., 10.)];
    let field = tabulated_plane(&target, &prior, 81).unwrap();
    for share in [0.68_f64, 0.95] {
        let level = highest_density_level(&field.values, share).unwrap();
        let lines = field.contour(level).unwrap();
        assert_eq!(lines.len(), 1, "one ellipse for {share}");
        let expected = (-2. * (1. - share).ln()).sqrt();
        for &(a, b) in &lines[0] {
            let radius = ((a - means[0]) / widths[0]).hypot((b - means[1]) / widths[1]);
            assert!((radius - expected).abs() < 0.04, "{share}: {radius}, {expected}");
        }
    }
    let found = tabulated_plane(&target, &[parameter(1., 1.), prior[1]], 81).unwrap_err();
    assert!(matches!(found, Error::Table { .. }), "no bounds gave {found:?}");
    let found = tabulated_plane(&Gaussian(&[(0., 1.)]), &prior, 81).unwrap_err();
    assert!(matches!(found, Error::Rows { cols: 2, .. }), "one parameter gave {found:?}");
}

/// No density where there is one for others.
#[derive(Debug)]
struct Nothing;

impl Target for Nothing {
    fn dim(&self) -> usize {
        2
    }
    fn log_prob(&self, _: &[f64]) -> mflow_eval::Result<f64> {
        Ok(f64::NEG_INFINITY)
    }
}

#[test]
fn a_plane_without_mass_is_an_error() {
    let prior = [parameter(-1., 1.), parameter(0., 2.)];
    let error = tabulated_plane(&Nothing, &prior, 5).unwrap_err().to_string();
    assert!(error.contains("[-1.0, 0.0] is -inf"), "{error}");
}

#[test]
fn a_table_has_the_density_of_a_gaussian() {
    let table = Tabulated::new(&Gaussian(&[(0.2, 0.1)]), &parameter(-1., 1.), 401).unwrap();
    for (theta, density) in table.density().unwrap() {
        let z = (theta - 0.2) / 0.1;
        let expected = (-0.5 * z * z).exp() / (0.1 * std::f64::consts::TAU.sqrt());
        assert!((density - expected).abs() < 1e-6, "{theta}: {density}, {expected}");
    }
}
