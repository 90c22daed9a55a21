//! Several jobs at once.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};

/// Does jobs in order, `workers` of them at once, and returns how many `work` says it did. None starts after the
/// deadline, or after an error of `work`; the first such error is returned when all that were started have ended.
pub(crate) fn run<J: Display + Sync>(
    workers: usize,
    deadline: Option<Instant>,
    jobs: &[&J],
    work: impl Fn(&J) -> Result<bool> + Sync,
) -> Result<usize> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let worker = || -> Result<usize> {
        let mut done = 0;
        while !failed.load(Ordering::Relaxed) && deadline.is_none_or(|at| Instant::now() < at) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(number) else { break };
            println!("[{}/{}] {job}: starts", number + 1, jobs.len());
            let did = work(job).inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
            done += usize::from(did);
        }
        Ok(done)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers.max(1)).map(|_| scope.spawn(worker)).collect();
        let ends = workers.into_iter().map(|worker| {
            worker.join().unwrap_or_else(|_| Err(anyhow!("a thread of the suite panicked")))
        });
        ends.collect::<Vec<_>>().into_iter().sum()
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use anyhow::bail;

    use super::*;

    #[test]
    fn all_jobs_are_done_once() {
        for workers in [0, 1, 3, 20] {
            let done = Mutex::new(vec![]);
            let jobs: Vec<usize> = (0..9).collect();
            let count = run(workers, None, &jobs.iter().collect::<Vec<_>>(), |job| {
                done.lock().unwrap().push(*job);
                Ok(*job != 5)
            });
            assert_eq!(count.unwrap(), 8, "{workers} workers, and one job that was left");
            let mut done = done.into_inner().unwrap();
            done.sort_unstable();
            assert_eq!(done, jobs, "{workers} workers");
        }
    }

    #[test]
    fn nothing_starts_after_an_error_or_the_deadline() {
        let done = Mutex::new(vec![]);
        let ended = run(1, None, &[&1, &2, &3], |job| {
            done.lock().unwrap().push(*job);
            if *job == 2 { bail!("no") } else { Ok(true) }
        });
        assert_eq!(ended.unwrap_err().to_string(), "no");
        assert_eq!(done.into_inner().unwrap(), [1, 2]);
        let late = run(2, Some(Instant::now()), &[&1], |_| bail!("it was started"));
        assert_eq!(late.unwrap(), 0);
    }
}
