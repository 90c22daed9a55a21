//! Peers that compile their cases in the background, each case in a process of its own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::bench::worker::{Opened, Worker};

/// How often it is looked who is ready.
const LOOK: Duration = Duration::from_millis(20);

/// Processes that there may be: each of them has a copy of its library in memory.
const MOST: usize = 40;

/// A case that a peer is to open.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) peer: &'static str,
    /// Its place in the list of cases.
    pub(super) case: usize,
    /// Whether the others wait for it.
    pub(super) urgent: bool,
}

/// A peer that has opened its case.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) peer: &'static str,
    pub(super) case: usize,
    pub(super) worker: Worker,
    /// How it does it.
    pub(super) note: String,
    /// What opening took.
    pub(super) seconds: f64,
}

/// Where all peers are.
#[derive(Debug, Default)]
pub(super) struct Peers {
    pub(super) ready: Vec<Ready>,
    /// Those that cannot, and why.
    pub(super) lacking: Vec<(Wanted, String)>,
    /// Those that were not ready in time.
    pub(super) left: Vec<Wanted>,
}

/// Starts a worker and asks it to open its case.
pub(super) type Start = Box<dyn Fn(&Wanted) -> Result<Worker> + Send>;

/// Processes that open cases.
#[derive(Debug)]
pub(super) struct Opening {
    stop: Arc<AtomicBool>,
    /// Those that others wait for and that are not there yet.
    urgent: Arc<AtomicUsize>,
    thread: JoinHandle<Peers>,
}

impl Opening {
    /// Opens in the order given, some at once.
    pub(super) fn begin(wanted: Vec<Wanted>, at_once: usize, start: Start) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let urgent = Arc::new(AtomicUsize::new(wanted.iter().filter(|one| one.urgent).count()));
        let (stopped, waiting) = (Arc::clone(&stop), Arc::clone(&urgent));
        let thread =
            thread::spawn(move || open(wanted.into(), at_once, &start, &stopped, &waiting));
        Self { stop, urgent, thread }
    }

    /// Waits for the urgent ones, at most until then; whoever is not ready now is ended.
    pub(super) fn take(self, until: Instant) -> Result<Peers> {
        while self.urgent.load(Ordering::Relaxed) > 0 && Instant::now() < until {
            thread::sleep(LOOK);
        }
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the thread that opens cases failed"))
    }
}

struct Busy {
    wanted: Wanted,
    worker: Worker,
    since: Instant,
}

fn open(
    mut queue: VecDeque<Wanted>,
    at_once: usize,
    start: &Start,
    stop: &AtomicBool,
    waiting: &AtomicUsize,
) -> Peers {
    let mut peers = Peers::default();
    let mut busy: Vec<Busy> = Vec::new();
    while !(stop.load(Ordering::Relaxed) || busy.is_empty() && queue.is_empty()) {
        while busy.len() < at_once && busy.len() + peers.ready.len() < MOST {
            let Some(wanted) = queue.pop_front() else { break };
            match start(&wanted) {
                Ok(worker) => busy.push(Busy { wanted, worker, since: Instant::now() }),
                Err(error) => peers.lacking.push((wanted, format!("{error:#}"))),
            }
        }
        let mut still = Vec::new();
        for Busy { wanted, mut worker, since } in busy {
            match worker.has_opened() {
                Ok(None) => still.push(Busy { wanted, worker, since }),
                Ok(Some(opened)) => settle(&mut peers, wanted, worker, since, opened),
                Err(error) => peers.lacking.push((wanted, format!("{error:#}"))),
            }
        }
        busy = still;
        let urgent = busy.iter().map(|one| &one.wanted).chain(&queue).filter(|one| one.urgent);
        waiting.store(urgent.count(), Ordering::Relaxed);
        thread::sleep(LOOK);
    }
    peers.left = busy.into_iter().map(|one| one.wanted).chain(queue).collect();
    peers
}

fn settle(peers: &mut Peers, wanted: Wanted, worker: Worker, since: Instant, opened: Opened) {
    match opened {
        Err(why) => peers.lacking.push((wanted, why)),
        Ok(note) => {
            let Wanted { peer, case, .. } = wanted;
            let seconds = since.elapsed().as_secs_f64();
            peers.ready.push(Ready { peer, case, worker, note, seconds });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::process::Command;

    fn wanted(case: usize, urgent: bool) -> Wanted {
        Wanted { peer: "nflows", case, urgent }
    }

    /// Case 0 opens, 1 is lacking, 2 ends, 3 cannot start, others hang.
    fn start(wanted: &Wanted) -> Result<Worker> {
        let script = match wanted.case {
            0 => r#"read line; echo '{"ready": true, "note": "n"}'; read line"#,
            1 => r#"read line; echo '{"lacks": "no such map"}'"#,
            2 => "read line",
            3 => return Err(anyhow!("no python3")),
            _ => "read line; sleep 30",
        };
        let mut worker = Worker::start("nflows", Command::new("sh").args(["-c", script]))?;
        worker.begin_to_open(&json!({}))?;
        Ok(worker)
    }

    fn soon(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[test]
    fn peers_are_ready_lacking_or_left() {
        let all = (0..5).map(|case| wanted(case, case < 4)).collect();
        let begin = Instant::now();
        let peers = Opening::begin(all, 2, Box::new(start)).take(soon(20)).unwrap();
        assert_eq!(peers.ready.iter().map(|one| one.case).collect::<Vec<_>>(), [0]);
        let mut why: Vec<(usize, &str)> =
            peers.lacking.iter().map(|(wanted, why)| (wanted.case, why.as_str())).collect();
        why.sort_unstable();
        assert_eq!((why[0], why[2]), ((1, "no such map"), (3, "no python3")));
        assert!(why[1].1.contains("ended"), "{why:?}");
        assert_eq!(peers.left, [wanted(4, false)], "nobody waits for it");
        assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    }

    #[test]
    fn an_urgent_one_that_hangs_is_given_up() {
        let begin = Instant::now();
        let until = begin + Duration::from_millis(200);
        let all = vec![wanted(9, true), wanted(0, true)];
        let peers = Opening::begin(all.clone(), 1, Box::new(start)).take(until).unwrap();
        assert_eq!(peers.left, all, "the second had no place");
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    }
}
