//! Training of manifold-learning flows: losses, phases, schedules, optimizer, checkpoints.
//!
//! A [`TrainConfig`] is data: phases that say which parameter groups train on which losses. One
//! [`Trainer`] runs any of them on any [`RowSource`].
//!
//! Architecture invariants: a schedule never knows which data set it is fed; a run gives the same bits
//! for any number of threads, and the same bits when it is interrupted and resumed.
//!
//! ```
//! use mflow_bijectors::{ParamStore, SplineFlowConfig, Stream};
//! use mflow_core::candle::{DType, Device};
//! use mflow_core::ModelConfig;
//! use mflow_train::{Pool, Rows, Schedule, Silent, Trainer};
//! use std::sync::atomic::AtomicBool;
//!
//! # fn main() -> Result<(), mflow_train::Error> {
//! // A noisy line in the plane.
//! let t = Stream::new(1, "data").normal(200);
//! let x = t.iter().flat_map(|t| [*t, 0.5 * t]).collect();
//! let data = Rows::new(x, 2, None, DType::F32, &Device::Cpu)?;
//! let model = ModelConfig::m_flow(2, 1);
//! let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
//! let outcome = Trainer {
//!     model: &model,
//!     store: &mut store,
//!     data: &data,
//!     validation: None,
//!     config: &Schedule::Sequential.config(&model, 2)?,
//!     seed: 1,
//!     pool: &Pool::new(0)?,
//!     run: None,
//! }
//! .run(&mut Silent, &AtomicBool::new(false))?;
//! assert_eq!(outcome, mflow_train::Outcome::Finished);
//! # Ok(())
//! # }
//! ```
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
pub use trainer::{Outcome, Trainer, Updates, validation_split};
pub use weights::effective_sample_size;
