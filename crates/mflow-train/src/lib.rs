#![doc = include_str!("../README.md")]
//!
//! # Architecture invariants
//!
//! A schedule never knows which data set it is fed. A run gives the same bits for any number of threads, and the same bits when it
//! is interrupted and resumed.
mod attempt;
mod checkpoint;
mod choose;
mod ema;
mod epochs;
mod error;
mod guide;
mod kept;
mod loss;
mod lr;
mod mean;
mod member;
mod optim;
mod points;
mod presets;
mod progress;
mod run_dir;
mod scandal;
mod schedule;
mod shards;
mod sinkhorn;
mod source;
mod start;
mod team;
mod trainer;
mod weights;

pub use attempt::Attempt;
pub use checkpoint::Position;
pub use choose::{Candidate, Choice, TRIAL, Trials};
pub use error::{Error, Result, SourceError};
pub use guide::Guide;
pub use kept::{KeptEpoch, kept_epochs};
pub use loss::{Compare, Distance, Loss, Unit, WeightedLoss};
pub use lr::{CosineRestarts, LrSchedule, OneCycle, Plateau};
pub use mean::mean_loss;
pub use optim::{AdamConfig, AdamWConfig, Optimizer, OptimizerConfig, SgdConfig, optimizer};
pub use points::Points;
pub use presets::{Schedule, Settings};
pub use progress::{EpochMetrics, Observer, Progress, Silent};
pub use run_dir::{CONFIG_FILE, Identity, RunDir, read_attempts, read_metrics};
pub use schedule::{Alternate, Keep, Phase, Stage, TrainConfig, Turn};
pub use shards::{
    DEVICE_ROWS, EVALUATION_ROWS, MIN_SHARD_ROWS, Pool, cut, evaluation_blocks, shards,
};
pub use sinkhorn::{Divergence, SinkhornConfig, sinkhorn};
pub use source::{Batch, RowReader, RowSource, Rows, Stored};
pub use start::Start;
#[cfg(feature = "nccl")]
pub use team::Nccl;
pub use team::{Alone, Team};
#[cfg(feature = "mpi")]
pub use team::{Mpi, Session};
pub use trainer::{Outcome, Trainer, Updates, validation_split};
pub use weights::effective_sample_size;
