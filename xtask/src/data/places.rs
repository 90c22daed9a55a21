//! Places with what is known of them, and the files that mflow reads.

use anyhow::{Result, ensure};

use super::npy;

/// A table whose first columns are longitude and latitude in degrees.
#[derive(Debug)]
pub(super) struct Places {
    /// The names of the columns.
    pub(super) columns: Vec<&'static str>,
    /// The rows.
    pub(super) rows: Vec<Vec<f64>>,
    /// How many more there were, with values missing or out of range.
    pub(super) dropped: usize,
}

impl Places {
    /// The rows that are complete, with a longitude from -180 to 360 and a latitude from -90 to 90; what is
    /// missing is NaN. A file without any is taken for another file than expected.
    pub(super) fn new(columns: Vec<&'static str>, all: Vec<Vec<f64>>) -> Result<Self> {
        let is_place = |row: &Vec<f64>| {
            row.iter().all(|value| value.is_finite())
                && (-180.0..=360.0).contains(&row[0])
                && (-90.0..=90.0).contains(&row[1])
        };
        let (rows, dropped): (Vec<_>, Vec<_>) = all.into_iter().partition(is_place);
        ensure!(!rows.is_empty(), "expected places, found {} rows without one", dropped.len());
        Ok(Self { columns, rows, dropped: dropped.len() })
    }

    /// With a header, in the shortest digits that give the numbers back.
    pub(super) fn csv(&self) -> String {
        let line = |row: &Vec<f64>| {
            let cells: Vec<String> = row.iter().map(f64::to_string).collect();
            cells.join(",") + "\n"
        };
        self.columns.join(",") + "\n" + &self.rows.iter().map(line).collect::<String>()
    }

    /// Unit vectors `[n, 3]` in NumPy's format 1.0: `(cos φ cos λ, cos φ sin λ, sin φ)` at longitude `λ` and
    /// latitude `φ`.
    pub(super) fn npy(&self) -> Vec<u8> {
        let mut bytes = npy::header("<f8", &[self.rows.len(), 3]);
        let points = self.rows.iter().flat_map(|row| unit_vector(row[0], row[1]));
        bytes.extend(points.flat_map(f64::to_le_bytes));
        bytes
    }
}

fn unit_vector(longitude: f64, latitude: f64) -> [f64; 3] {
    let (sin_lon, cos_lon) = longitude.to_radians().sin_cos();
    let (sin_lat, cos_lat) = latitude.to_radians().sin_cos();
    [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Places {
        let rows = vec![
            vec![90.0, 0.0, 1.5],
            vec![0.0, -90.0, 2.0],
            vec![-118.25, 34.05, f64::NAN],
            vec![361.0, 0.0, 1.0],
            vec![0.0, 90.1, 1.0],
        ];
        Places::new(vec!["longitude", "latitude", "depth"], rows).unwrap()
    }

    #[test]
    fn rows_that_are_no_places_are_counted() {
        let places = example();
        assert_eq!((places.rows.len(), places.dropped), (2, 3));
        assert_eq!(places.csv(), "longitude,latitude,depth\n90,0,1.5\n0,-90,2\n");
        let error = Places::new(vec![], vec![vec![f64::NAN, 0.0]]).unwrap_err().to_string();
        assert!(error.contains("found 1 rows"), "{error}");
    }

    #[test]
    fn points_are_in_numpys_format() {
        let bytes = example().npy();
        assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00", "118 bytes of header");
        let header = std::str::from_utf8(&bytes[10..128]).unwrap();
        assert!(header.contains("'shape': (2, 3)") && header.ends_with(" \n"), "{header}");
        let (numbers, rest) = bytes[128..].as_chunks::<8>();
        let numbers: Vec<f64> = numbers.iter().map(|number| f64::from_le_bytes(*number)).collect();
        assert!(rest.is_empty(), "whole numbers");
        let expected = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0];
        assert_eq!(numbers.len(), expected.len());
        for (found, expected) in numbers.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-15, "{numbers:?}");
        }
    }
}
