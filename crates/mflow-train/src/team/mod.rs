//! Processes that train one model together.
#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "nccl")]
mod nccl;
mod share;

#[cfg(feature = "mpi")]
pub use mpi::{Mpi, Session};
#[cfg(feature = "nccl")]
pub use nccl::Nccl;
pub(crate) use share::{agree, any, numbers, own, rows, summed};

use crate::Result;
use candle_core::Tensor;
use std::fmt::Debug;

/// Processes that train one model together: *ranks*. Each holds the whole model and all data, and all of them make the
/// same decisions, as they compute the same numbers. Of the shards of a batch each rank computes some; then gradients
/// are summed in the order of the shards, so that the result depends on the number of shards and not on that of the
/// ranks: the same bits as one process computes.
///
/// All ranks call the same methods in the same order, from one thread at a time. A rank that fails must end the others
/// too, or they wait for it without end; `Mpi`, of the feature `mpi`, can.
pub trait Team: Debug + Send + Sync {
    /// The number of this process, counted from 0. Rank 0 writes what is written.
    fn rank(&self) -> usize;

    /// The number of processes.
    fn size(&self) -> usize;

    /// What all ranks have, one after the other: of `own: [lengths[rank]]` the tensor `[Σ lengths]`.
    ///
    /// # Errors
    /// If the numbers cannot be carried.
    fn gather(&self, own: &Tensor, lengths: &[usize]) -> Result<Tensor>;

    /// Give `own[r]` to rank `r`, and take what each rank gives to this one: tensors `[lengths[r]]`.
    ///
    /// # Errors
    /// If the numbers cannot be carried.
    fn exchange(&self, own: &[Tensor], lengths: &[usize]) -> Result<Vec<Tensor>>;

    /// Whether this rank writes files and speaks.
    fn is_first(&self) -> bool {
        self.rank() == 0
    }
}

/// One process by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Team for Alone {
    fn rank(&self) -> usize {
        0
    }
    fn size(&self) -> usize {
        1
    }
    fn gather(&self, own: &Tensor, _lengths: &[usize]) -> Result<Tensor> {
        Ok(own.clone())
    }
    fn exchange(&self, own: &[Tensor], _lengths: &[usize]) -> Result<Vec<Tensor>> {
        Ok(own.to_vec())
    }
}
