//! Places on the Earth or in the sky, as points of the unit sphere.
//!
//! A place is a longitude `λ` and a latitude `φ` in degrees, in this order; right ascension and
//! declination, or galactic coordinates, are the same thing. Its point is
//! `(cos φ cos λ, cos φ sin λ, sin φ)`: the north pole is `(0, 0, 1)`, and longitude 0 on the equator is
//! `(1, 0, 0)`. A density in nats per area of the unit sphere is, per square degree, smaller by
//! `2 ln(180 / π) ≈ 8.10`.

use crate::simulator::points;
use crate::{Error, Result};

/// The least and the greatest longitude: both usual ranges, to ±180 and from 0 to 360, are within.
pub const LONGITUDES: [f64; 2] = [-180., 360.];

/// The least and the greatest latitude.
pub const LATITUDES: [f64; 2] = [-90., 90.];

/// Points of the unit sphere, `[n, 3]`, from longitudes and latitudes in degrees, `[n, 2]`.
///
/// ```
/// let poles = mflow_data::geographic::to_points(&[0., 90., 12.5, -90.])?;
/// assert!((poles[2] - 1.).abs() < 1e-15 && (poles[5] + 1.).abs() < 1e-15);
/// # Ok::<(), mflow_data::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::PartialRow`] where the values are not whole rows, and [`Error::Degrees`] for the first that
/// is no number or out of range: a table with the columns in the other order is often found out by this.
pub fn to_points(places: &[f64]) -> Result<Vec<f64>> {
    let (rows, rest) = places.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Error::PartialRow { what: "places", cols: 2, found: places.len() });
    }
    let mut all = Vec::with_capacity(3 * rows.len());
    for (row, &[longitude, latitude]) in rows.iter().enumerate() {
        check(row, "longitude", LONGITUDES, longitude)?;
        check(row, "latitude", LATITUDES, latitude)?;
        let (sin_lon, cos_lon) = longitude.to_radians().sin_cos();
        let (sin_lat, cos_lat) = latitude.to_radians().sin_cos();
        all.extend([cos_lat * cos_lon, cos_lat * sin_lon, sin_lat]);
    }
    Ok(all)
}

/// Longitudes and latitudes in degrees, `[n, 2]`, of the directions of points, `[n, 3]`, at any distance
/// from the origin. Longitudes are from -180 to 180; that of a pole, where any would do, is 0 or ±180.
///
/// # Errors
///
/// [`Error::PartialRow`] where the values are not whole rows, [`Error::Coordinate`] for the first that is
/// not finite, and [`Error::NoDirection`] for a point at the origin.
pub fn from_points(x: &[f64]) -> Result<Vec<f64>> {
    let mut all = Vec::with_capacity(x.len() / 3 * 2);
    points(x, 3)?; // whole rows, of finite numbers
    for (row, &[x, y, z]) in x.as_chunks::<3>().0.iter().enumerate() {
        if [x, y, z] == [0.; 3] {
            return Err(Error::NoDirection { row });
        }
        all.extend([y.atan2(x).to_degrees(), z.atan2(x.hypot(y)).to_degrees()]);
    }
    Ok(all)
}

fn check(row: usize, column: &'static str, [low, high]: [f64; 2], found: f64) -> Result<()> {
    if (low..=high).contains(&found) {
        return Ok(());
    }
    Err(Error::Degrees { row, column, low, high, found })
}
