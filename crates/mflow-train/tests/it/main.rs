//! The tests of mflow-train: each module states its oracle.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed"
)]
mod attempts;
mod bits;
mod config;
#[path = "../../../mflow-bijectors/tests/support/cuda_on_cpu.rs"]
mod cuda_on_cpu;
mod data;
#[path = "../../../mflow-bijectors/tests/support/device.rs"]
mod device;
mod divergence;
mod hostile;
mod kernels;
mod learning;
mod loops;
mod losses;
mod modes;
#[path = "../../../mflow-bijectors/tests/support/mutations.rs"]
mod mutations;
mod optimizer;
mod published;
mod ratio;
mod resume;
mod run_dir;
mod scandal;
mod schedules;
mod shards;
mod starts;
#[path = "../../../mflow-bijectors/tests/support/survival.rs"]
mod survival;
mod team;
mod toy;
mod trials;
mod weights;
