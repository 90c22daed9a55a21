//! The tests of mflow-bijectors: laws that hold for every map, and what is particular to each.
//!
//! Adding a map means adding one line to the table in `laws.rs`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::needless_range_loop, reason = "indices as in the formulas")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed"
)]
mod authors;
mod cases;
mod collected;
mod config;
mod context_units;
mod cuda;
#[path = "../support/cuda_on_cpu.rs"]
mod cuda_on_cpu;
#[path = "../support/device.rs"]
mod device;
mod extremes;
mod flows;
mod gradients;
mod hostile;
mod kinks;
mod laws;
mod linear;
mod mutants;
#[path = "../support/mutations.rs"]
mod mutations;
mod nflows;
mod numbers;
mod numerical;
mod params;
mod properties;
mod refusals;
mod spline;
mod spline_edges;
#[path = "../support/survival.rs"]
mod survival;
mod training;
