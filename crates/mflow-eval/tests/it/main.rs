//! Integration tests of `mflow-eval`: each module states its oracle.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod along;
mod contours;
mod calibration;
mod curves;
mod estimate;
mod gallery;
mod mcmc;
mod metrics;
mod panels;
mod nuts;
mod picture;
mod statistics;
mod surfaces;
mod two_samples;
