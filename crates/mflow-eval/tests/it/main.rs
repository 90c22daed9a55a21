//! Integration tests of `mflow-eval`: each module states its oracle.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    reason = "a test that panics has failed"
)]

mod along;
mod calibration;
mod contours;
mod corner;
mod curves;
mod dimension;
mod distances;
mod estimate;
mod features;
mod gallery;
mod histograms;
mod hostile;
mod inception;
mod mcmc;
mod metrics;
mod nuts;
mod panels;
mod picture;
mod posterior_sample;
mod ratio;
mod statistics;
mod surfaces;
#[path = "../../../mflow-bijectors/tests/support/survival.rs"]
mod survival;
mod two_samples;
