//! Threads that all calls share: to start them for each call would take longer than many calls.
use crate::errors::Failure;
use mflow::train::Pool;
use pyo3::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Threads of calls that say no number; 0 means one for each core.
static DEFAULT: AtomicUsize = AtomicUsize::new(0);

static POOLS: Mutex<Pools> = Mutex::new(Pools { process: 0, by_threads: BTreeMap::new() });

struct Pools {
    /// The process that started them: they do not outlive a fork.
    process: u32,
    by_threads: BTreeMap<usize, Arc<Pool>>,
}

/// The pool of so many threads.
pub(crate) fn pool(threads: Option<usize>) -> Result<Arc<Pool>, Failure> {
    let wanted = match threads {
        None | Some(0) => DEFAULT.load(Ordering::Relaxed),
        Some(threads) => threads,
    };
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if pools.process != process {
        // To drop the pools of the process that this one was forked from would wait for threads that are not there.
        std::mem::forget(std::mem::take(&mut pools.by_threads));
        pools.process = process;
    }
    if let Some(pool) = pools.by_threads.get(&wanted) {
        return Ok(Arc::clone(pool));
    }
    let pool = Arc::new(Pool::new(wanted)?);
    pools.by_threads.insert(wanted, Arc::clone(&pool));
    Ok(pool)
}

/// Set the number of threads of calls that say none; 0 means one for each core.
#[pyfunction]
pub(crate) fn set_default_threads(threads: usize) {
    DEFAULT.store(threads, Ordering::Relaxed);
}

/// The number of threads that a call with `threads` gets.
#[pyfunction]
#[pyo3(signature = (threads=None))]
pub(crate) fn threads(threads: Option<usize>) -> PyResult<usize> {
    Ok(pool(threads)?.threads())
}
