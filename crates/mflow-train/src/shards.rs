//! Rows in parallel: a persistent pool, and cuts that depend on the rows only.
//!
//! candle's own threads make matrices of this size slower, so the operations are single-threaded and
//! whole steps run side by side on shards of the batch. Results come back in shard order, whatever the
//! number of threads: the same bits on one thread as on many.
use crate::{Error, Result};
use candle_core::Tensor;
use rayon::prelude::*;
use std::ops::Range;

/// Rows that a shard should have at the least: fewer, and the overhead outweighs the thread.
pub const MIN_SHARD_ROWS: usize = 50;

/// Rows per block when a model is evaluated without gradients: activations stay in the cache.
pub const EVALUATION_ROWS: usize = 250;

/// A pool of threads that lives as long as the run.
#[derive(Debug)]
pub struct Pool(rayon::ThreadPool);

impl Pool {
    /// A pool of `threads`; 0 means one per core.
    ///
    /// # Errors
    /// If the system refuses the threads.
    pub fn new(threads: usize) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.map(Self).map_err(|e| Error::Threads { threads, reason: e.to_string() })
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.0.current_num_threads()
    }

    /// `f(0), f(1), .., f(n - 1)`, in order.
    pub fn map<R: Send>(&self, n: usize, f: impl Fn(usize) -> R + Sync + Send) -> Vec<R> {
        self.0.install(|| (0..n).into_par_iter().with_max_len(1).map(f).collect())
    }

    /// Evaluate `f` on blocks of rows and put the results `[rows of the block, ..]` back together.
    ///
    /// # Errors
    /// As `f`.
    pub fn by_rows<E: Send + From<candle_core::Error>>(
        &self,
        rows: usize,
        f: impl Fn(Range<usize>) -> Result<Tensor, E> + Sync + Send,
    ) -> Result<Tensor, E> {
        let blocks = evaluation_blocks(rows);
        let parts = self.map(blocks, |i| f(cut(rows, blocks, i)));
        let parts = parts.into_iter().collect::<Result<Vec<_>, E>>()?;
        Ok(Tensor::cat(&parts, 0)?)
    }
}

/// Number of blocks of an evaluation: of at most [`EVALUATION_ROWS`], and fewer in a batch that would
/// leave threads without work. A function of the rows only.
pub fn evaluation_blocks(rows: usize) -> usize {
    rows.div_ceil(EVALUATION_ROWS).max(shards(rows, 4))
}

/// Part `i` of `rows` cut into `n` nearly equal parts.
pub fn cut(rows: usize, n: usize, i: usize) -> Range<usize> {
    i * rows / n..(i + 1) * rows / n
}

/// Number of shards of a batch of `rows` when `limit` are allowed.
pub fn shards(rows: usize, limit: usize) -> usize {
    (rows / MIN_SHARD_ROWS).clamp(1, limit.max(1))
}
