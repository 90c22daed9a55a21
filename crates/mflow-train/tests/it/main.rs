//! The tests of mflow-train: each module states its oracle.
mod bits;
mod config;
mod data;
mod divergence;
mod learning;
mod optimizer;
mod resume;
mod run_dir;
mod shards;
mod toy;
