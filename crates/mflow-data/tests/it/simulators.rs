//! What holds for every simulator by its name.

use mflow_bijectors::Stream;
use mflow_data::{Prior, simulator_by_name, simulator_names};

fn stream() -> Stream {
    Stream::new(3, "simulators")
}

#[test]
fn each_is_found_and_draws_what_it_says() {
    let names = simulator_names();
    assert!(names.len() > 15);
    for name in names {
        let simulator = simulator_by_name(name).unwrap();
        assert_eq!(simulator.name(), name);
        let (d, p) = (simulator.data_dim(), simulator.parameter_dim());
        assert!(simulator.manifold_dim() < d, "{name}: a manifold in space");
        let parameters = simulator.sample_prior(50, &mut stream());
        assert_eq!(parameters.len(), 50 * p, "{name}");
        let x = simulator.sample(50, &parameters, &mut stream()).unwrap();
        assert_eq!(x.len(), 50 * d, "{name}");
        assert!(x.iter().all(|x| x.is_finite()), "{name}");
        let again = simulator.sample(50, &parameters, &mut stream()).unwrap();
        assert_eq!(x, again, "{name}: the stream decides");
        let off = simulator.sample_out_of_distribution(50, &parameters, &mut stream()).unwrap();
        let moved: f64 = x.iter().zip(&off).map(|(a, b)| (a - b).powi(2)).sum();
        let expected = 0.01 * (50 * d) as f64;
        assert!((moved / expected - 1.0).abs() < 0.5, "{name}: {moved} of {expected}");
        if simulator.is_tractable() {
            let log_prob = simulator.log_prob(&x, &parameters).unwrap();
            assert!(log_prob.iter().all(|l| l.is_finite()), "{name}: data have a density");
        }
    }
}

#[test]
fn errors_name_what_is_wrong() {
    for name in simulator_names() {
        let simulator = simulator_by_name(name).unwrap();
        let (d, p) = (simulator.data_dim(), simulator.parameter_dim());
        let error = simulator.sample(2, &vec![0.0; 2 * p + 1], &mut stream()).unwrap_err();
        assert!(error.to_string().contains("parameters"), "{name}: {error}");
        if p > 0 {
            let (wrong, said) = match simulator.priors()[0] {
                Prior::Uniform { .. } => (7.0, ["from -1 to 1", "7"]),
                Prior::Normal { .. } => (f64::INFINITY, ["normal with mean 0", "inf"]),
            };
            let error = simulator.sample(1, &vec![wrong; p], &mut stream()).unwrap_err();
            let text = error.to_string();
            assert!(said.iter().all(|said| text.contains(said)), "{name}: {text}");
        }
        if simulator.is_tractable() {
            let mut x = vec![0.1; 2 * d];
            let parameters = simulator.default_parameters().repeat(2);
            x[d] = f64::NAN;
            let error = simulator.log_prob(&x, &parameters).unwrap_err().to_string();
            assert!(error.contains("row 1") && error.contains("NaN"), "{name}: {error}");
            let error = simulator.distance(&x[..d + 1]).unwrap_err().to_string();
            assert!(error.contains("whole"), "{name}: {error}");
        }
    }
    let error = simulator_by_name("tours").unwrap_err().to_string();
    assert!(error.contains("tours") && error.contains("torus"), "{error}");
}

#[test]
fn the_density_of_a_projected_gaussian_is_finite_at_the_poles() {
    let of = simulator_by_name("projected-gaussian").unwrap();
    for pole in [1.0, -1.0] {
        let (sin, cos) = 1e-6_f64.sin_cos();
        let at = of.log_prob(&[pole, 0.0, 0.0], &[]).unwrap()[0];
        let beside = of.log_prob(&[pole * cos, 0.0, sin], &[]).unwrap()[0];
        assert!((at - beside).abs() < 1e-5, "{at} at {pole}, {beside} beside it");
    }
}
