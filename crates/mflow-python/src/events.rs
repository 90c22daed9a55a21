//! Work on a thread of its own, while the thread that Python called on hears what happens and looks for signals.
use crate::errors::Failure;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long a signal may wait.
const TICK: Duration = Duration::from_millis(50);

/// What work tells.
pub(crate) enum Event {
    /// A line for a person.
    Told(String),
    /// Where training stands.
    Progress { phase: String, epoch: usize, epochs: usize, step: u64, steps: u64, loss: f64 },
    /// An epoch has ended.
    Epoch { phase: String, epoch: usize, loss: f64, validation_loss: f64, learning_rate: f64 },
}

/// Who works: what it tells, and whether it is to stop.
pub(crate) struct Worker<'a> {
    events: Sender<Event>,
    /// Raised by a signal, or where hearing an event failed.
    pub(crate) stop: &'a AtomicBool,
}

impl Worker<'_> {
    pub(crate) fn tell(&self, event: Event) {
        // Nobody listens any more once it does not matter.
        self.events.send(event).ok();
    }

    /// What fails once the work is to stop; also for threads of a pool.
    pub(crate) fn checker(&self) -> impl Fn() -> Result<(), Failure> + Sync + Send + use<'_> {
        let stop = self.stop;
        move || match stop.load(Ordering::Relaxed) {
            true => Err(Failure::Interrupted),
            false => Ok(()),
        }
    }
}

/// Do `work` without the GIL; `hear` gets its events with it. A signal stops the work, and its exception comes back when the work
/// has ended, or if `hear` fails that exception.
pub(crate) fn attended<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&Worker<'_>) -> Result<T, Failure> + Send,
    hear: &mut dyn FnMut(Python<'_>, Event) -> PyResult<()>,
) -> PyResult<T> {
    let stop = AtomicBool::new(false);
    let (events, mut inbox) = channel();
    let (raised, result) = std::thread::scope(|scope| {
        let worker = Worker { events, stop: &stop };
        // The channel closes when the worker is dropped, at its end.
        let working = scope.spawn(move || {
            let worker = worker;
            work(&worker)
        });
        let mut raised: Option<PyErr> = None;
        let mut note = |result: PyResult<()>| {
            if let Err(error) = result {
                stop.store(true, Ordering::Relaxed);
                raised.get_or_insert(error);
            }
        };
        loop {
            let (received, back) = py.detach(move || wait(inbox));
            inbox = back;
            match received {
                Ok(event) => note(hear(py, event)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            note(py.check_signals());
        }
        (raised, py.detach(|| working.join()))
    });
    let result = match result {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    };
    match raised {
        Some(error) => Err(error),
        None => Ok(result?),
    }
}

fn wait(inbox: Receiver<Event>) -> (Result<Event, RecvTimeoutError>, Receiver<Event>) {
    (inbox.recv_timeout(TICK), inbox)
}
