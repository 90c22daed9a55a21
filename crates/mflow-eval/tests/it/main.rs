//! Integration tests of `mflow-eval`: each module states its oracle.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod along;
mod calibration;
mod contours;
mod curves;
mod estimate;
mod gallery;
mod mcmc;
mod metrics;
mod nuts;
mod panels;
mod picture;
mod ratio;
mod statistics;
mod surfaces;
mod two_samples;
