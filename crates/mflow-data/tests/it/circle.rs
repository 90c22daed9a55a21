//! The Gaussian on a circle. Oracles: numerical integrals, the polar coordinates of samples, the
//! entropy of normal densities in closed form.
use mflow_bijectors::Stream;
use mflow_data::{GaussianOnSphere, Simulator, simulator_by_name};
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI, TAU};

const CIRCLE: GaussianOnSphere = GaussianOnSphere::CIRCLE;

fn log_prob(x: [f64; 2]) -> f64 {
    CIRCLE.log_prob(&x, &[]).unwrap()[0]
}

fn ambient_log_prob(x: [f64; 2]) -> f64 {
    CIRCLE.ambient_log_prob(&x, &[]).unwrap()[0]
}

fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() < tolerance, "{found}, expected {expected}");
}

#[test]
fn densities_integrate_to_one() {
    let (angles, radii) = (2000, 400);
    let step = TAU / f64::from(angles);
    let at = |i: i32, r: f64| {
        let (sin, cos) = (-PI + step * (f64::from(i) + 0.5)).sin_cos();
        [r * cos, r * sin]
    };
    let on_circle: f64 = (0..angles).map(|i| log_prob(at(i, 1.)).exp() * step).sum();
    close(on_circle, 1., 1e-9);
    // Twelve widths of the radius.
    let width = 0.12 / f64::from(radii);
    let mut total = 0.;
    for k in 0..radii {
        let r = 0.94 + width * (f64::from(k) + 0.5);
        let ring: f64 = (0..angles).map(|i| ambient_log_prob(at(i, r)).exp()).sum();
        total += ring * step * width * r;
    }
    close(total, 1., 1e-6);
}

#[test]
fn the_density_is_the_wrapped_normal() {
    // At the mean the nearest windings are 8 widths away; opposite to it two are equally far.
    let log_peak = -FRAC_PI_4.ln() - 0.5 * TAU.ln();
    let found = CIRCLE.log_prob(&[0., 2., 0., -1., 1., 0.], &[]).unwrap();
    close(found[0], log_peak, 1e-12);
    close(found[1], log_peak - 8. + 2_f64.ln(), 1e-6);
    let winding = (-(1.5 * PI / FRAC_PI_4).powi(2) / 2.).exp();
    close(found[2], log_peak + ((-2_f64).exp() + winding).ln(), 1e-12);
    assert_eq!(ambient_log_prob([0., 0.]), f64::NEG_INFINITY, "nothing at the centre");
}

#[test]
fn samples_have_the_moments_of_angle_and_radius() {
    let n = 100_000;
    let x = CIRCLE.sample(n, &[], &mut Stream::new(1, "circle")).unwrap();
    let angles: Vec<f64> = x
        .chunks(2)
        .map(|x| x[1].atan2(x[0]))
        // Continued beyond -pi: hardly anything is 6 widths below the mean.
        .map(|a| if a < FRAC_PI_2 - PI { a + TAU } else { a })
        .collect();
    let radii: Vec<f64> = x.chunks(2).map(|x| x[0].hypot(x[1])).collect();
    let moments = |v: &[f64]| {
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        (mean, (v.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / v.len() as f64).sqrt())
    };
    let ((mean, width), (radius, thickness)) = (moments(&angles), moments(&radii));
    close(mean, FRAC_PI_2, 0.01);
    close(width, FRAC_PI_4, 0.01);
    close(radius, 1., 2e-4);
    close(thickness, 0.01, 1e-4);
    // The distance is that of the radius.
    let distance = CIRCLE.distance(&x).unwrap();
    for (d, r) in distance.iter().zip(&radii) {
        close(*d, (r - 1.).abs(), 1e-12);
    }
    // Entropies of the two normal densities; that of 1/r is 0 on average to second order.
    let entropy = |width: f64| width.ln() + 0.5 * (TAU.ln() + 1.);
    let mean = x.chunks(2).map(|x| ambient_log_prob([x[0], x[1]])).sum::<f64>() / n as f64;
    close(mean, -entropy(FRAC_PI_4) - entropy(0.01), 0.02);
}

#[test]
fn it_is_known_by_name_and_refuses_what_it_has_not() {
    let circle = simulator_by_name("circle").unwrap();
    assert_eq!((circle.data_dim(), circle.manifold_dim(), circle.parameter_dim()), (2, 1, 0));
    assert!(circle.sample_prior(5, &mut Stream::new(1, "prior")).is_empty(), "no parameters");
    assert!(circle.sample(5, &[0.; 5], &mut Stream::new(1, "x")).is_err(), "parameters");
    assert!(circle.log_prob(&[0., 1., 2.], &[]).is_err(), "half a point");
    assert!(circle.distance(&[0., f64::NAN]).is_err(), "no number");
}
