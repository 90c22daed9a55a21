//! Places as points of the sphere. Oracles: the six points of an octahedron, cities whose distance is
//! known, the haversine formula.
use mflow_data::Error;
use mflow_data::geographic::{from_points, to_points};

/// Radius of the Earth, km.
const RADIUS: f64 = 6371.;

/// The angle between two points of the unit sphere by the length of the chord.
fn angle(a: &[f64], b: &[f64]) -> f64 {
    let chord = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt();
    2. * (chord / 2.).asin()
}

/// The same angle from longitudes and latitudes in degrees.
fn haversine(a: [f64; 2], b: [f64; 2]) -> f64 {
    let half = |i: usize| ((b[i] - a[i]).to_radians() / 2.).sin().powi(2);
    let h = half(1) + a[1].to_radians().cos() * b[1].to_radians().cos() * half(0);
    2. * h.sqrt().asin()
}

#[test]
fn the_axes_are_where_they_are_said_to_be() {
    for (place, expected) in [
        ([0., 0.], [1., 0., 0.]),
        ([90., 0.], [0., 1., 0.]),
        ([180., 0.], [-1., 0., 0.]),
        ([-180., 0.], [-1., 0., 0.]),
        ([270., 0.], [0., -1., 0.]),
        ([-90., 0.], [0., -1., 0.]),
        ([360., 0.], [1., 0., 0.]),
        ([33., 90.], [0., 0., 1.]),
        ([-77., -90.], [0., 0., -1.]),
    ] {
        let found = to_points(&place).unwrap();
        assert!(angle(&found, &expected) < 1e-15, "{place:?}: {found:?}, expected {expected:?}");
    }
}

#[test]
fn cities_are_as_far_apart_as_they_are() {
    let (london, new_york, sydney) =
        ([-0.1278, 51.5074], [-74.0060, 40.7128], [151.2093, -33.8688]);
    let x = to_points(&[london, new_york, sydney].concat()).unwrap();
    for ([i, j], [a, b], km) in
        [([0, 1], [london, new_york], 5570.), ([0, 2], [london, sydney], 16994.)]
    {
        let found = angle(&x[3 * i..3 * i + 3], &x[3 * j..3 * j + 3]);
        assert!((RADIUS * found - km).abs() < 10., "{} km, expected {km}", RADIUS * found);
        assert!((found - haversine(a, b)).abs() < 1e-12, "{found}, expected {}", haversine(a, b));
    }
}

#[test]
fn the_way_back_gives_the_place_whatever_the_distance() {
    let grid =
        (-179..=180).step_by(7).flat_map(|lon| (-89..=89).step_by(6).map(move |lat| [lon, lat]));
    let places: Vec<f64> = grid.flatten().map(f64::from).collect();
    let x = to_points(&places).unwrap();
    for scale in [1., 1e-200, 1e200] {
        let far: Vec<f64> = x.iter().map(|v| v * scale).collect();
        let back = from_points(&far).unwrap();
        assert_eq!(back.len(), places.len());
        for (found, expected) in back.iter().zip(&places) {
            assert!((found - expected).abs() < 1e-12, "{found}, expected {expected}");
        }
    }
    let poles = from_points(&[0., 0., 2., 0., 0., -1e-300]).unwrap();
    assert_eq!(poles, [0., 90., 0., -90.]);
}

#[test]
fn mistakes_are_named_by_row_and_column() {
    for (places, row, column, found) in [
        ([0., 0., 0., 90.5], 1, "latitude", "90.5"),
        ([-180.5, 0., 0., 0.], 0, "longitude", "-180.5"),
        ([0., 0., 360.5, 0.], 1, "longitude", "360.5"),
        ([0., f64::NAN, 0., 0.], 0, "latitude", "NaN"),
    ] {
        let error = to_points(&places).unwrap_err();
        assert!(
            matches!(error, Error::Degrees { row: r, column: c, .. } if r == row && c == column)
        );
        let message = error.to_string();
        for part in [format!("row {row}"), column.to_owned(), format!("found {found}")] {
            assert!(message.contains(&part), "{part}: {message}");
        }
    }
    assert!(matches!(to_points(&[1., 2., 3.]), Err(Error::PartialRow { cols: 2, found: 3, .. })));
    assert!(matches!(from_points(&[1., 2.]), Err(Error::PartialRow { cols: 3, found: 2, .. })));
    let origin = from_points(&[1., 0., 0., 0., -0., 0.]);
    assert!(matches!(origin, Err(Error::NoDirection { row: 1 })), "{origin:?}");
    let endless = from_points(&[1., f64::INFINITY, 0.]);
    assert!(matches!(endless, Err(Error::Coordinate { row: 0, coordinate: 1, .. })), "{endless:?}");
    assert!(to_points(&[]).unwrap().is_empty(), "no places, no points");
}
