//! The Lorenz attractor: moments that are published, and the symmetry of the system.

use mflow_bijectors::Stream;
use mflow_data::{Lorenz, Simulator};

#[test]
fn samples_are_standardised_and_symmetric() {
    let n = 200_000;
    let x = Lorenz.sample(n, &[], &mut Stream::new(1, "lorenz")).unwrap();
    let moment =
        |d: usize, power: i32| x.chunks(3).map(|x| x[d].powi(power)).sum::<f64>() / n as f64;
    for d in 0..3 {
        // The authors' means are of one sample of trajectories, and so are these.
        assert!(moment(d, 1).abs() < 0.1, "mean {d}: {}", moment(d, 1));
        assert!((moment(d, 2) - 1.0).abs() < 0.1, "square {d}: {}", moment(d, 2));
    }
    // (y_1, y_2, y_3) and (-y_1, -y_2, y_3) are equally frequent.
    let positive = x.chunks(3).filter(|x| 7.982 * x[0] > 0.6817).count() as f64 / n as f64;
    assert!((positive - 0.5).abs() < 0.02, "{positive} of the points on one side");
    assert_eq!(x, Lorenz.sample(n, &[], &mut Stream::new(1, "lorenz")).unwrap());
}

#[test]
fn what_has_no_formula_is_an_error() {
    let error = Lorenz.log_prob(&[0.0; 3], &[]).unwrap_err().to_string();
    assert!(error.contains("lorenz") && error.contains("log_prob"), "{error}");
    assert!(Lorenz.distance(&[0.0; 3]).is_err());
    assert!(!Lorenz.is_tractable());
}
