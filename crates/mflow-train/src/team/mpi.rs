//! A team by MPI.
use super::Team;
use crate::{Error, Result};
use candle_core::{DType, Tensor, WithDType};
use mflow_bijectors::host;
use mpi::Threading;
use mpi::datatype::{Equivalence, Partition, PartitionMut};
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// The processes that `mpirun` or a batch system started. On the CPU; other devices send through it.
#[derive(Debug)]
pub struct Mpi {
    rank: usize,
    size: usize,
    /// MPI was promised that one thread calls at a time.
    turn: Mutex<()>,
}

/// MPI at work: it ends when this is dropped, which all ranks must do.
#[must_use]
#[expect(missing_debug_implementations, reason = "of the library")]
pub struct Session(#[expect(dead_code, reason = "for its end")] Universe);

impl Mpi {
    /// Join the others: once in a process.
    ///
    /// # Errors
    /// If MPI was started already.
    pub fn start() -> Result<(Self, Session)> {
        let refuse = |reason: &str| Error::Mpi { reason: reason.to_owned() };
        let (universe, threading) = mpi::initialize_with_threading(Threading::Serialized)
            .ok_or_else(|| refuse("was started already in this process"))?;
        if threading < Threading::Serialized {
            return Err(refuse("does not let other threads than the first call it"));
        }
        let world = universe.world();
        let number = |v: i32| usize::try_from(v).map_err(|_| refuse("counts ranks below 0"));
        let (rank, size) = (number(world.rank())?, number(world.size())?);
        Ok((Self { rank, size, turn: Mutex::new(()) }, Session(universe)))
    }

    /// End all ranks at once, with this exit code: for a rank that has failed, whose error has been told.
    pub fn abort(&self, code: i32) -> ! {
        SimpleCommunicator::world().abort(code)
    }

    fn gather_values<T: Numbers>(&self, own: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        let own = host::values::<T>(own)?;
        let mut all = vec![T::zero(); lengths.iter().sum()];
        let (counts, starts) = layout(lengths)?;
        {
            let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            let mut into = PartitionMut::new(&mut all[..], &counts[..], &starts[..]);
            SimpleCommunicator::world().all_gather_varcount_into(&own[..], &mut into);
        }
        Ok(Tensor::from_slice(&all, all.len(), &candle_core::Device::Cpu)?)
    }

    #[expect(clippy::indexing_slicing, reason = "ranges of the lengths that `all` was made for")]
    fn exchange_values<T: Numbers>(
        &self,
        own: &[Tensor],
        lengths: &[usize],
    ) -> Result<Vec<Tensor>> {
        let parts = own.iter().map(host::values::<T>).collect::<candle_core::Result<Vec<_>>>()?;
        let (out_counts, out_starts) = layout(&parts.iter().map(Vec::len).collect::<Vec<_>>())?;
        let out = parts.concat();
        let mut all = vec![T::zero(); lengths.iter().sum()];
        let (counts, starts) = layout(lengths)?;
        {
            let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            let from = Partition::new(&out[..], &out_counts[..], &out_starts[..]);
            let mut into = PartitionMut::new(&mut all[..], &counts[..], &starts[..]);
            SimpleCommunicator::world().all_to_all_varcount_into(&from, &mut into);
        }
        let ends = ranges(lengths);
        let part = |range: Range<usize>| {
            let values = &all[range];
            Ok(Tensor::from_slice(values, values.len(), &candle_core::Device::Cpu)?)
        };
        ends.map(part).collect()
    }
}

impl Team for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }
    fn size(&self) -> usize {
        self.size
    }
    fn gather(&self, own: &Tensor, lengths: &[usize]) -> Result<Tensor> {
        let all = match own.dtype() {
            DType::F64 => self.gather_values::<f64>(own, lengths)?,
            _ => self.gather_values::<f32>(own, lengths)?,
        };
        Ok(all.to_device(own.device())?)
    }
    fn exchange(&self, own: &[Tensor], lengths: &[usize]) -> Result<Vec<Tensor>> {
        let Some(first) = own.first() else { return Ok(vec![]) };
        let all = match first.dtype() {
            DType::F64 => self.exchange_values::<f64>(own, lengths)?,
            _ => self.exchange_values::<f32>(own, lengths)?,
        };
        all.iter().map(|part| Ok(part.to_device(first.device())?)).collect()
    }
}

/// What MPI carries.
trait Numbers: WithDType + Equivalence {}

impl Numbers for f32 {}
impl Numbers for f64 {}

/// Consecutive ranges of these lengths.
fn ranges(lengths: &[usize]) -> impl Iterator<Item = Range<usize>> {
    let mut end = 0;
    lengths.iter().map(move |length| {
        end += length;
        end - length..end
    })
}

/// Counts and starts as MPI has them.
fn layout(lengths: &[usize]) -> Result<(Vec<i32>, Vec<i32>)> {
    let number = |v: usize| {
        i32::try_from(v)
            .map_err(|_| Error::Mpi { reason: format!("carries 2^31 numbers at most, found {v}") })
    };
    let both = ranges(lengths).map(|range| Ok((number(range.len())?, number(range.start)?)));
    Ok(both.collect::<Result<Vec<_>>>()?.into_iter().unzip())
}
