//! The polynomial surface: its shape, and its densities by numerical integration.

use mflow_data::{PolynomialSurface, Simulator, simulator_by_name};

use crate::files::assert_error;

const S: PolynomialSurface = PolynomialSurface;

#[test]
fn the_rotation_is_one() {
    let r = PolynomialSurface::ROTATION;
    for i in 0..3 {
        for j in 0..3 {
            let dot: f64 = (0..3).map(|k| r[i][k] * r[j][k]).sum();
            let expected = if i == j { 1.0 } else { 0.0 };
            assert!((dot - expected).abs() < 1e-15, "rows {i} and {j}: {dot}");
        }
    }
    let minor = |a: usize, b: usize| r[1][a] * r[2][b] - r[1][b] * r[2][a];
    let det = r[0][0] * minor(1, 2) + r[0][1] * minor(2, 0) + r[0][2] * minor(0, 1);
    assert!((det - 1.0).abs() < 1e-15, "determinant {det}: no reflection");
}

#[test]
fn the_height_at_points_worked_out_by_hand() {
    // f(0, 0) = a_0. On the axes only the pure powers count; at (1, 1) all monomials are 1.
    let a = PolynomialSurface::COEFFICIENTS;
    let pure = |at: [usize; 6], z: f64| -> f64 {
        (-0.1 * z * z).exp() * at.iter().rev().fold(0.0, |sum, &k| sum * z + a[k])
    };
    for (z, expected) in [
        ([0.0, 0.0], a[0]),
        ([2.0, 0.0], pure([0, 1, 3, 6, 10, 15], 2.0)),
        ([0.0, -3.0], pure([0, 2, 5, 9, 14, 20], -3.0)),
        ([1.0, 1.0], (-0.2_f64).exp() * a.iter().sum::<f64>()),
        // Sign of z1: + for even powers of z1, the second index in each group.
        (
            [1.0, -1.0],
            (-0.2_f64).exp()
                * (a[0] + a[1] - a[2] + a[3] - a[4] + a[5] + a[6] - a[7] + a[8] - a[9] + a[10]
                    - a[11]
                    + a[12]
                    - a[13]
                    + a[14]
                    + a[15]
                    - a[16]
                    + a[17]
                    - a[18]
                    + a[19]
                    - a[20]),
        ),
        ([1e200, 3.0], 0.0),
    ] {
        let height = S.height(z);
        assert!((height - expected).abs() < 1e-14, "f({z:?}) = {height}, expected {expected}");
    }
}

#[test]
fn derivatives_agree_with_central_differences() {
    let step = 1e-5;
    for i in 0..40 {
        let z = [f64::from(i % 7) * 0.9 - 2.7, f64::from(i % 11) * 0.6 - 3.0];
        let jet = S.height_jet(z);
        let [xx, xy, yy] = jet.hessian;
        for (k, row) in [[xx, xy], [xy, yy]].iter().enumerate() {
            let shifted = |sign: f64| {
                let mut z = z;
                z[k] += sign * step;
                S.height_jet(z)
            };
            let (plus, minus) = (shifted(1.0), shifted(-1.0));
            let slope = (plus.value - minus.value) / (2.0 * step);
            assert!((slope - jet.gradient[k]).abs() < 1e-8, "{z:?}: {slope} by z{k}");
            for (l, second) in row.iter().enumerate() {
                let difference = (plus.gradient[l] - minus.gradient[l]) / (2.0 * step);
                assert!((difference - second).abs() < 1e-8, "{z:?}: {difference} by z{k} z{l}");
            }
        }
    }
}

#[test]
fn chart_and_embedding_undo_each_other() {
    for i in 0..100 {
        let z = [f64::from(i) * 0.11 - 5.0, f64::from(i * 37 % 100) * 0.1 - 5.0];
        let x = S.embed(z);
        let back = S.chart(x);
        for k in 0..2 {
            assert!((back[k] - z[k]).abs() < 1e-14, "{z:?} came back as {back:?}");
        }
        assert!(S.vertical_distance(x) < 1e-14, "{z:?} is on the surface");
        let [u, v, w] = [0, 1, 2].map(|i| x[i] + 0.5 * PolynomialSurface::ROTATION[i][2]);
        let raised = S.vertical_distance([u, v, w]);
        assert!((raised - 0.5).abs() < 1e-14, "raised by 0.5, not {raised}");
    }
}

#[test]
fn the_density_in_the_chart_integrates_to_1_with_the_mean_expected() {
    for theta in [-1.0, 0.0, 1.0] {
        // The trapezoidal rule; the tails beyond the square weigh less than 1e-14.
        let step = 0.05;
        let (mut mass, mut mean) = (0.0, [0.0; 2]);
        for i in -360..=360 {
            for j in -360..=360 {
                let z = [f64::from(i) * step, f64::from(j) * step];
                let p = S.log_prob_chart(z, theta).expect("theta is in range").exp() * step * step;
                mass += p;
                mean = [mean[0] + p * z[0], mean[1] + p * z[1]];
            }
        }
        assert!((mass - 1.0).abs() < 1e-9, "theta {theta}: {mass}");
        assert!((mean[0] - 0.2).abs() < 1e-9, "theta {theta}: mean {mean:?}");
        assert!((mean[1] + 0.2).abs() < 1e-9, "theta {theta}: mean {mean:?}");
    }
}

#[test]
fn the_width_is_0_2_to_1() {
    // At the narrow component's mean, which the wide one reaches by its tail.
    let wide = 0.6 * (-1.0_f64).exp() / (std::f64::consts::TAU * 4.0);
    for (theta, width) in [(-1.0, 0.2), (0.0, 0.6), (0.5, 0.8), (1.0, 1.0)] {
        let narrow = 0.4 / (std::f64::consts::TAU * width * width);
        let p = S.log_prob_chart([-1.0, 1.0], theta).expect("theta is in range").exp();
        assert!((p / (wide + narrow) - 1.0).abs() < 1e-13, "theta {theta}: {p}");
    }
    let far = S.log_prob_chart([1e3, 0.0], 0.0).expect("theta is in range");
    let expected =
        0.6_f64.ln() - (999.0_f64.powi(2) + 1.0) / 8.0 - (std::f64::consts::TAU * 4.0).ln();
    assert!((far - expected).abs() < 1e-9, "no underflow in the tails: {far}");
}

/// The area of a triangle in space, by Heron's stable formula: no metric, no cross product.
fn area(corners: [[f64; 3]; 3]) -> f64 {
    let side = |i: usize, j: usize| {
        (0..3).map(|k| (corners[i][k] - corners[j][k]).powi(2)).sum::<f64>().sqrt()
    };
    let mut sides = [side(0, 1), side(1, 2), side(2, 0)];
    sides.sort_by(f64::total_cmp);
    let [c, b, a] = sides;
    0.25 * ((a + (b + c)) * (c - (a - b)) * (c + (a - b)) * (a + (b - c))).sqrt()
}

#[test]
fn the_density_on_the_surface_integrates_to_1_over_its_area() {
    let theta = 0.0;
    let step = 0.05;
    let at = |i: i32, j: i32| [f64::from(i) * step, f64::from(j) * step];
    let (mut mass, mut without_metric) = (0.0, 0.0);
    for i in -240..240 {
        for j in -240..240 {
            for corners in [
                [at(i, j), at(i + 1, j), at(i, j + 1)],
                [at(i + 1, j + 1), at(i + 1, j), at(i, j + 1)],
            ] {
                let area = area(corners.map(|z| S.embed(z)));
                let centre = [0, 1].map(|k| corners.iter().map(|z| z[k]).sum::<f64>() / 3.0);
                let log_prob = S.log_prob(&S.embed(centre), &[theta]).expect("one point");
                mass += area * log_prob[0].exp();
                let chart = S.log_prob_chart(centre, theta).expect("theta is in range");
                without_metric += area * chart.exp();
            }
        }
    }
    // The error is of second order in the step, relative to widths and features of 0.6 or more.
    assert!((mass - 1.0).abs() < 2e-4, "mass {mass}");
    assert!(without_metric > 1.1, "the test sees the metric: {without_metric}");
}

#[test]
fn the_density_off_the_surface_is_that_below() {
    let x = S.embed([0.3, -0.7]);
    let raised = [0, 1, 2].map(|i| x[i] + 4.0 * PolynomialSurface::ROTATION[i][2]);
    let log_prob = S.log_prob(&[x, raised].concat(), &[0.2, 0.2]).expect("two points");
    assert!((log_prob[0] - log_prob[1]).abs() < 1e-12, "{log_prob:?}");
}

#[test]
fn simulators_by_name() {
    let simulator = simulator_by_name("polynomial-surface").expect("it is known");
    assert_eq!(simulator.name(), "polynomial-surface", "its name");
    let dims = (simulator.data_dim(), simulator.manifold_dim(), simulator.parameter_dim());
    assert_eq!(dims, (3, 2, 1), "its dimensions");
    assert_error(simulator_by_name("tours"), &["`polynomial-surface`", "found `tours`"]);
}

#[test]
fn batches_are_checked() {
    assert_error(S.log_prob(&[0.0; 4], &[0.0]), &["data", "rows of 3", "found 4"]);
    assert_error(S.log_prob(&[0.0; 6], &[0.0]), &["parameters", "2 rows of 1", "found 1"]);
    assert_error(S.log_prob(&[0.0; 6], &[0.0, 1.5]), &["row 1", "theta", "-1 to 1", "1.5"]);
    assert_error(S.log_prob(&[0.0; 3], &[f64::NAN]), &["row 0", "theta", "NaN"]);
    assert_error(S.distance(&[0.0, 0.0]), &["data", "rows of 3", "found 2"]);
    let nan = [0.0, 0.0, 0.0, 0.0, f64::NAN, 0.0];
    assert_error(S.distance(&nan), &["row 1", "coordinate 1", "NaN"]);
    assert_eq!(S.distance(&[]).expect("no points"), [0.0; 0], "no points, no distances");
}
