//! How many dimensions rows have. Oracles: manifolds whose dimension is known, and places in a plane whose distances
//! are counted by hand.
use mflow_bijectors::Stream;
use mflow_eval::statistics::{Sample, correlation_dimension};
use mflow_eval::{DimensionConfig, DimensionEstimator, DimensionStudy, draw_dimension};
use mflow_train::Pool;
use std::f64::consts::TAU;

const RAW: DimensionConfig = DimensionConfig { standardize: false, seed: 0 };

fn study(x: &[f64], d: usize, config: DimensionConfig) -> DimensionStudy {
    DimensionStudy::of(Sample::new(x, d).unwrap(), config, &Pool::new(2).unwrap()).unwrap()
}

/// Normal numbers in the first n of d columns, turned so that all columns vary.
fn gaussian(rows: usize, n: usize, d: usize) -> Vec<f64> {
    let mut stream = Stream::new(3, "gaussian");
    let z = stream.normal(rows * n);
    let map = stream.normal(n * d);
    let column = |row: &[f64], j: usize| (0..n).map(|i| row[i] * map[i * d + j]).sum::<f64>();
    z.chunks(n).flat_map(|row| (0..d).map(|j| column(row, j)).collect::<Vec<f64>>()).collect()
}

fn sphere(rows: usize, d: usize) -> Vec<f64> {
    let z = Stream::new(4, "sphere").normal(rows * d);
    let unit = |row: &[f64]| {
        let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        row.iter().map(|v| v / length).collect::<Vec<f64>>()
    };
    z.chunks(d).flat_map(unit).collect()
}

fn roll(rows: usize) -> Vec<f64> {
    let uniform = Stream::new(5, "roll").uniform(2 * rows, 0., 1.);
    let point = |u: &[f64]| {
        let t = 0.75 * TAU * (1. + 2. * u[0]);
        [t * t.cos(), 21. * u[1], t * t.sin()]
    };
    uniform.chunks(2).flat_map(point).collect()
}

fn noisy(mut x: Vec<f64>, deviation: f64) -> Vec<f64> {
    let noise = Stream::new(6, "noise").normal(x.len());
    x.iter_mut().zip(noise).for_each(|(x, noise)| *x += deviation * noise);
    x
}

#[track_caller]
fn recommends(x: &[f64], d: usize, n: usize) -> DimensionStudy {
    let study = study(x, d, RAW);
    assert_eq!(study.recommended, Some(n), "{}\n{:#?}", study.because, study.curves);
    study
}

#[test]
fn known_manifolds_have_their_dimension() {
    for (n, d) in [(1, 3), (2, 3), (3, 3), (5, 12)] {
        recommends(&gaussian(2000, n, d), d, n);
    }
    for d in [2, 3, 5] {
        recommends(&sphere(2000, d), d, d - 1);
    }
    recommends(&roll(2000), 3, 2);
}

#[test]
fn every_estimator_has_a_curve_with_errors() {
    let study = recommends(&sphere(4000, 3), 3, 2);
    assert_eq!(study.curves.len(), DimensionEstimator::ALL.len());
    for curve in &study.curves {
        let points = &curve.points;
        assert!(points.len() > 3, "{curve:?}");
        assert!(points.windows(2).all(|w| w[0].neighbours < w[1].neighbours), "{curve:?}");
        for point in points {
            let error = point.standard_error.unwrap();
            // Six errors and what curvature takes.
            let off = (point.dimension - 2.).abs();
            assert!(off <= 6. * error + 0.1, "{:?}: {point:?}", curve.estimator);
            // A sphere of area 4 π has k of n rows within π r²; its spread is 1.
            let exact = 2. * (point.neighbours as f64 / 4000.).sqrt();
            let ratio = point.distance / exact;
            assert!((0.8..1.1).contains(&ratio), "{:?}: {point:?}, {exact}", curve.estimator);
        }
    }
}

#[test]
fn errors_are_those_of_other_draws() {
    let of = |rows: &[f64]| {
        let study = study(rows, 2, RAW);
        study.curves.into_iter().map(|curve| (curve.estimator, curve.points[1])).collect::<Vec<_>>()
    };
    let all = Stream::new(8, "plane").uniform(2 * 600 * 40, 0., 1.);
    let draws: Vec<_> = all.chunks(2 * 600).map(of).collect();
    for k in 0..3 {
        let points = || draws.iter().map(|draw| draw[k].1);
        let n = draws.len() as f64;
        let mean = points().map(|p| p.dimension).sum::<f64>() / n;
        let spread = (points().map(|p| (p.dimension - mean).powi(2)).sum::<f64>() / n).sqrt();
        let error = points().map(|p| p.standard_error.unwrap()).sum::<f64>() / n;
        let ratio = error / spread;
        assert!((0.6..1.8).contains(&ratio), "{:?}: {error}, {spread}", draws[0][k].0);
    }
}

#[test]
fn noise_shows_in_small_neighbourhoods_and_is_told() {
    let square = |u: Vec<f64>| u.chunks(2).flat_map(|u| [u[0], u[1], 0.]).collect::<Vec<f64>>();
    let plane = square(Stream::new(7, "square").uniform(40_000, 0., 1.));
    let study = recommends(&noisy(plane, 0.01), 3, 2);
    assert!(study.because.contains("noise"), "{}", study.because);
    let first = study.curves[0].points[0].dimension;
    assert!(first > 2.5, "{first}");
}

#[test]
fn equal_rows_constant_columns_and_few_rows_are_told() {
    let ball = gaussian(500, 2, 2);
    let rows: Vec<f64> = ball.chunks(2).flat_map(|z| [z[0], 7., z[1]]).collect();
    let twice = rows.repeat(2);
    let found = recommends(&twice, 3, 2);
    assert_eq!((found.rows, found.distinct_rows), (1000, 500));
    assert_eq!(found.constant_columns, [1]);
    assert!(found.notes[0].contains("500 of 1000 rows"), "{:?}", found.notes);
    assert!(found.notes[1].contains("left out: 1"), "{:?}", found.notes);
    for (x, d, word) in [
        (vec![1., 2., 3., 4.], 2, "at least 16"),
        ([1., 2.].repeat(40), 2, "one point"),
        // Of a lattice with edges that meet, each row has neighbours equally near.
        (
            (0..400).flat_map(|i| [f64::from(i / 20), f64::from(i % 20)]).collect(),
            2,
            "in neighbourhoods",
        ),
    ] {
        let found = study(&x, d, RAW);
        assert!(found.because.contains(word), "{}", found.because);
    }
    let few = study(&gaussian(16, 2, 3), 3, RAW);
    assert!(few.recommended.is_some(), "{few:?}");
}

#[test]
fn units_of_columns_matter_only_if_asked() {
    let z = gaussian(1000, 2, 2);
    let scaled: Vec<f64> = z.chunks(2).flat_map(|z| [1e6 * z[0], z[1]]).collect();
    let standardized = DimensionConfig { standardize: true, ..RAW };
    assert_eq!(study(&scaled, 2, standardized).recommended, Some(2));
    let raw = study(&scaled, 2, RAW);
    assert_eq!(raw.recommended, Some(1), "{}", raw.because);
    assert!(raw.notes.iter().any(|note| note.contains("standard deviations")), "{:?}", raw.notes);
}

#[test]
fn more_columns_than_neighbours_change_nothing() {
    let narrow = study(&gaussian(300, 3, 6), 6, RAW);
    // Each column 20 times: all distances are longer by the root of 20.
    let wide: Vec<f64> = gaussian(300, 3, 6)
        .chunks(6)
        .flat_map(|row| (0..120).map(|j| row[j / 20]).collect::<Vec<f64>>())
        .collect();
    let wide = study(&wide, 120, RAW);
    assert_eq!(wide.recommended, narrow.recommended);
    for (a, b) in narrow.curves.iter().zip(&wide.curves) {
        for (a, b) in a.points.iter().zip(&b.points) {
            assert!((a.dimension - b.dimension).abs() < 1e-6, "{a:?}, {b:?}");
        }
    }
}

#[test]
fn the_correlation_dimension_of_places_on_a_line_is_counted() {
    // The squares of distances to the nearest are 1, 1, 4, 16, to the second 9, 4, 9, 36: medians 2.5 and 9.
    let x = [0., 1., 3., 7.];
    let found = correlation_dimension(Sample::new(&x, 1).unwrap(), 2).unwrap();
    // 2 ordered pairs are within the first, 6 within the second.
    let expected = 3_f64.ln() / (0.5 * (9_f64 / 2.5).ln());
    assert!((found - expected).abs() < 1e-12, "{found}, {expected}");
    assert!(correlation_dimension(Sample::new(&[1., 1., 1.], 1).unwrap(), 2).is_err());
}

#[test]
fn a_picture_shows_curves_and_recommendation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dimension.svg");
    let study = study(&sphere(500, 3), 3, RAW);
    draw_dimension(&study, "a sphere", &path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    for word in ["recommended: 2", "TwoNN", "Levina-Bickel", "correlation", "local PCA", "a sphere"]
    {
        assert!(text.contains(word), "{word}");
    }
    let nothing = DimensionStudy { curves: vec![], ..study };
    assert!(draw_dimension(&nothing, "", &path).is_err(), "nothing to draw");
}
