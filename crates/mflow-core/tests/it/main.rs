//! The tests of mflow-core: each module states its oracle.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::needless_range_loop, reason = "indices as in the formulas")]
mod charts;
mod density;
mod files;
mod gradients;
mod gram;
mod integral;
mod manifold;
mod normalize;
mod numbers;
mod refusals;
mod subject;
