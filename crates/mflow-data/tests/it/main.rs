//! Tests of the crate as a user sees it, in one binary.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed"
)]

mod circle;
mod csv_files;
mod files;
mod geographic;
mod hostile;
mod idx;
mod images;
mod joint;
mod lhe;
mod lorenz;
mod mutated;
mod noise;
mod npy_file;
mod npy_files;
mod npy_growing;
mod npy_header;
mod npz_files;
mod packed;
#[cfg(feature = "parquet")]
mod parquet_file;
mod parts;
mod pixels;
mod prior;
mod reading;
mod scenes;
mod simulators;
mod surface_distance;
mod surface_geometry;
mod surface_samples;
#[path = "../../../mflow-bijectors/tests/support/survival.rs"]
mod survival;
mod tables;
mod wbf;
mod written_files;
