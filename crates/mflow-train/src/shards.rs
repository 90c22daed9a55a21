//! Rows in parallel: a persistent pool, and cuts that depend on the rows only.
//!
//! candle's own threads make matrices of this size slower, so the operations are single-threaded and
//! whole steps run side by side on shards of the batch. Results come back in shard order, whatever the
//! number of threads: the same bits on one thread as on many.
use crate::team::{Alone, Team};
use crate::{Error, Result};
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Rows that a shard should have at the least: fewer, and the overhead outweighs the thread.
pub const MIN_SHARD_ROWS: usize = 50;

/// Rows per block when a model is evaluated without gradients: activations stay in the cache.
pub const EVALUATION_ROWS: usize = 250;

/// The same on a device other than the CPU, where each operation should have much to do.
pub const DEVICE_ROWS: usize = 32_768;

/// Who computes: threads that live as long as the run, and the processes that train together with this one.
#[derive(Debug)]
pub struct Pool {
    threads: rayon::ThreadPool,
    team: Arc<dyn Team>,
}

impl Pool {
    /// A pool of `threads` of a process by itself; 0 means one per core.
    ///
    /// # Errors
    /// If the system refuses the threads.
    pub fn new(threads: usize) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let threads = pool.map_err(|e| Error::Threads { threads, reason: e.to_string() })?;
        Ok(Self { threads, team: Arc::new(Alone) })
    }

    /// The same threads, in a process that trains together with others.
    #[must_use]
    pub fn with_team(self, team: Arc<dyn Team>) -> Self {
        Self { team, ..self }
    }

    /// Number of threads of all processes of the team, if each has as many as this one.
    pub fn workers(&self) -> usize {
        self.threads() * self.team.size()
    }

    /// The processes that train together.
    pub fn team(&self) -> &dyn Team {
        self.team.as_ref()
    }

    /// Number of threads of this process.
    pub fn threads(&self) -> usize {
        self.threads.current_num_threads()
    }

    /// `f()`, with the threads of the pool for what it does in parallel.
    pub fn install<R: Send>(&self, f: impl FnOnce() -> R + Send) -> R {
        self.threads.install(f)
    }

    /// `f(0), f(1), .., f(n - 1)`, in order.
    pub fn map<R: Send>(&self, n: usize, f: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
        self.threads.install(|| (0..n).into_par_iter().with_max_len(1).map(f).collect())
    }

    /// As [`Pool::map`] for work on `device`: off the CPU one after the other, as they would wait for each other.
    pub fn map_on<R: Send>(
        &self,
        device: &Device,
        n: usize,
        f: impl Fn(usize) -> R + Sync + Send,
    ) -> Vec<R> {
        if device.is_cpu() { self.map(n, f) } else { (0..n).map(f).collect() }
    }

    /// Evaluate `f` on blocks of rows on `device` and put the results `[rows of the block, ..]` back together.
    ///
    /// # Errors
    /// As `f`.
    pub fn by_rows<E: Send + From<candle_core::Error>>(
        &self,
        device: &Device,
        rows: usize,
        f: impl Fn(Range<usize>) -> Result<Tensor, E> + Sync + Send,
    ) -> Result<Tensor, E> {
        let blocks = evaluation_blocks(rows, device);
        let parts = self.map_on(device, blocks, |i| f(cut(rows, blocks, i)));
        let parts = parts.into_iter().collect::<Result<Vec<_>, E>>()?;
        Ok(Tensor::cat(&parts, 0)?)
    }
}

/// Number of blocks of an evaluation: on the CPU of at most [`EVALUATION_ROWS`], and fewer in a batch that would
/// leave threads without work; elsewhere of at most [`DEVICE_ROWS`].
pub fn evaluation_blocks(rows: usize, device: &Device) -> usize {
    if device.is_cpu() {
        rows.div_ceil(EVALUATION_ROWS).max(shards(rows, 4))
    } else {
        rows.div_ceil(DEVICE_ROWS).max(1)
    }
}

/// Rows of a block that is no part of a whole batch.
pub(crate) fn block_rows(device: &Device) -> usize {
    if device.is_cpu() { EVALUATION_ROWS } else { DEVICE_ROWS }
}

/// Part `i` of `rows` cut into `n` nearly equal parts.
#[expect(clippy::integer_division_remainder_used, reason = "called for one of `n` parts")]
pub fn cut(rows: usize, n: usize, i: usize) -> Range<usize> {
    i * rows / n..(i + 1) * rows / n
}

/// Number of shards of a batch of `rows` when `limit` are allowed.
pub fn shards(rows: usize, limit: usize) -> usize {
    (rows / MIN_SHARD_ROWS).clamp(1, limit.max(1))
}
