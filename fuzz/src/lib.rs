//! Fuzz targets: each feeds bytes to one reader, and asserts what has to hold whatever they are.
//!
//! No reader panics, takes more memory than docs/limits.md says, or hangs. What it accepts is the same after it was written
//! and read again. What it refuses it refuses in words that name the file, and in which no character commands a terminal.
//!
//! `cargo xtask fuzz` runs them by libFuzzer; the test `replay` runs what it found, and changes of that, in CI.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a panic is how a target says that something does not hold"
)]

mod check;
mod configs;
pub mod corpus;
mod files;
mod mutate;
mod scratch;
pub mod seeds;
mod service;
mod tables;

pub use configs::{bijector_config, experiment, model_config, settings, train_config};
pub use files::{generator, model, resumed, run_folder};
pub use mutate::{Random, mutated};
pub use service::service;
pub use tables::{csv, gzip, idx, image, lhe, npy, npz, parquet};

/// A reader under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also that of its folder in `corpus` and of its program.
    pub name: &'static str,
    /// What it reads.
    pub what: &'static str,
    /// Feeds it some bytes.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 18] = [
    Target { name: "npy", what: ".npy files and bodies", run: npy },
    Target { name: "npz", what: ".npz archives", run: npz },
    Target { name: "csv", what: "tables of text", run: csv },
    Target { name: "parquet", what: "Parquet files", run: parquet },
    Target { name: "idx", what: "idx files", run: idx },
    Target { name: "gzip", what: ".npy.gz and .csv.gz", run: gzip },
    Target { name: "image", what: "PNG and JPEG files", run: image },
    Target { name: "lhe", what: "event files", run: lhe },
    Target { name: "model", what: "model files", run: model },
    Target { name: "generator", what: "generators and their weights", run: generator },
    Target { name: "run_folder", what: "folders of finished runs", run: run_folder },
    Target { name: "resumed", what: "checkpoints", run: resumed },
    Target { name: "model_config", what: "ModelConfig", run: model_config },
    Target { name: "bijector_config", what: "BijectorConfig", run: bijector_config },
    Target { name: "train_config", what: "schedules", run: train_config },
    Target { name: "experiment", what: "experiments", run: experiment },
    Target { name: "settings", what: "settings of files and --set", run: settings },
    Target { name: "service", what: "questions to mflow serve", run: service },
];
