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
fn rows_are_on_the_trajectories_and_none_is_twice() {
    let n = 2000;
    let x = Lorenz.sample(n, &[], &mut Stream::new(2, "lorenz")).unwrap();
    let mut rows: Vec<[f64; 3]> = x.chunks(3).map(|x| [x[0], x[1], x[2]]).collect();
    // A million points lie closely on a sheet of a few units.
    let kept: Vec<[f64; 3]> = Lorenz::trajectories().to_vec();
    for row in rows.iter().take(20) {
        let square = |at: &[f64; 3]| (0..3).map(|d| (at[d] - row[d]).powi(2)).sum::<f64>();
        let nearest = kept.iter().map(square).fold(f64::INFINITY, f64::min).sqrt();
        assert!(nearest < 0.05, "{row:?} is {nearest} from all trajectories");
    }
    rows.sort_by(|a, b| a[0].total_cmp(&b[0]));
    assert!(rows.windows(2).all(|pair| pair[0] != pair[1]), "a row is there twice");
    let repeated = rows.iter().filter(|row| kept.contains(row)).count();
    assert_eq!(repeated, 0, "rows are points that were kept");
}

#[test]
fn what_has_no_formula_is_an_error() {
    let error = Lorenz.log_prob(&[0.0; 3], &[]).unwrap_err().to_string();
    assert!(error.contains("lorenz") && error.contains("log_prob"), "{error}");
    assert!(Lorenz.distance(&[0.0; 3]).is_err());
    assert!(!Lorenz.is_tractable());
}
