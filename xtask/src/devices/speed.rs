//! Speeds on a device: ours, the peers' and that of our two threads on the CPU, in turns.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::cases::{One, Preset};
use super::opening::{Opening, Peers, Ready, Start, Wanted};
use super::programs::Programs;
use super::record::{Book, Record, Speed, Versions};
use crate::bench::turns::{self, Limits, MFLOW, PEERS, Timed};
use crate::bench::worker::{Work, Worker};
use crate::{bench, number};

/// Our worker on the CPU.
pub(super) const CPU: &str = "cpu";

/// Peers that open their cases at once.
const AT_ONCE: usize = 10;

/// Seconds that a worker may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Seconds after which a peer compiles nothing more, of a case with a target.
const COMPILE: u64 = 90;

/// About the seconds that a case takes to be timed.
const CASE: Duration = Duration::from_secs(4);

/// How everything is timed.
#[derive(Debug)]
pub(super) struct Speeds<'a> {
    pub(super) programs: &'a Programs,
    pub(super) device: &'a str,
    pub(super) python: &'a Path,
    pub(super) preset: Preset,
    pub(super) cases: Vec<One>,
    /// Where workers complain.
    pub(super) log: &'a File,
}

impl Speeds<'_> {
    /// Lets the peers open their cases in the background, what has a target first and urgently.
    pub(super) fn begin(&self) -> Opening {
        let wanted = self.cases.iter().enumerate().flat_map(|(case, one)| {
            let of = move |peer: &&'static str| Wanted { peer, case, urgent: one.has_target };
            PEERS.iter().rev().map(of)
        });
        self.open(wanted.collect())
    }

    fn open(&self, wanted: Vec<Wanted>) -> Opening {
        let (python, device) = (self.python.to_path_buf(), self.device.to_owned());
        let case = |one: &One| {
            let mut case = one.on(&device);
            let compile = if one.has_target { COMPILE } else { COMPILE / 2 };
            case["compile_seconds"] = compile.into();
            case
        };
        let cases: Vec<_> = self.cases.iter().map(case).collect();
        let log = self.log.try_clone();
        let start: Start = Box::new(move |Wanted { peer, case, .. }| {
            let log = log.as_ref().ok().context("the log is closed")?.try_clone();
            let log = log.context("sharing the log")?;
            let mut worker = Worker::start(peer, peer_command(&python, peer, &device).stderr(log))?;
            worker.begin_to_open(&cases[*case])?;
            Ok(worker)
        });
        Opening::begin(wanted, AT_ONCE, start)
    }

    /// Times all cases: those whose peers have all been opened by the first of these times, then the others, whose
    /// peers get a second chance for as long as all can be timed until the second.
    pub(super) fn run(
        &self,
        opening: Opening,
        until: (Instant, Instant),
        book: &mut Book,
    ) -> Result<()> {
        let (first, until) = until;
        let mut peers = opening.take(first.min(until))?;
        let mut ours = Ours::new(self)?;
        book.write(&Record::Versions(Versions {
            worker: MFLOW.to_owned(),
            versions: ours.on_device.get(until)?.versions()?,
        }))?;
        self.write_versions(&mut peers, book)?;
        let is_ready = |case: usize| !peers.left.iter().any(|wanted| wanted.case == case);
        let (now, later): (Vec<usize>, Vec<usize>) =
            (0..self.cases.len()).partition(|&case| is_ready(case));
        self.time_all(&now, &mut peers, &mut ours, until, book)?;
        if later.is_empty() {
            return Ok(());
        }

        let mut left = std::mem::take(&mut peers.left);
        left.retain(|wanted| later.contains(&wanted.case));
        left.iter_mut().for_each(|wanted| wanted.urgent = true);
        left.sort_by_key(|wanted| wanted.case);
        let left_time = until.saturating_duration_since(Instant::now());
        let timing = (CASE * u32::try_from(later.len())?).min(left_time / 2);
        let opened = self.open(left).take(until - timing)?;
        peers.ready.extend(opened.ready);
        peers.lacking.extend(opened.lacking);
        peers.left = opened.left;
        self.time_all(&later, &mut peers, &mut ours, until, book)
    }

    fn write_versions(&self, peers: &mut Peers, book: &mut Book) -> Result<()> {
        for peer in PEERS {
            let Some(ready) = peers.ready.iter_mut().find(|ready| ready.peer == peer) else {
                continue;
            };
            ready.worker.set_deadline(Instant::now() + PATIENCE);
            let worker = peer.to_owned();
            let record = match ready.worker.versions() {
                Ok(versions) => Record::Versions(Versions { worker, versions }),
                Err(error) => {
                    let what = format!("versions of {peer}");
                    Record::NotRun { what, why: format!("{error:#}") }
                }
            };
            book.write(&record)?;
        }
        Ok(())
    }

    fn time_all(
        &self,
        cases: &[usize],
        peers: &mut Peers,
        ours: &mut Ours,
        until: Instant,
        book: &mut Book,
    ) -> Result<()> {
        for &case in cases {
            let one = &self.cases[case];
            if until <= Instant::now() {
                book.not_run(&one.title(), "out of time")?;
                continue;
            }
            let mut timed = Timed::new(&one.name, one.batch);
            for (wanted, why) in peers.lacking.iter().filter(|(wanted, _)| wanted.case == case) {
                timed.lacks(wanted.peer, why);
            }
            for wanted in peers.left.iter().filter(|wanted| wanted.case == case) {
                timed.lacks(wanted.peer, "not compiled in time");
            }
            // They end with this case, and leave their memory to others.
            let of_case = |ready: &mut Ready| ready.case == case;
            let ready: Vec<Ready> = peers.ready.extract_if(.., of_case).collect();
            let seconds = |one: &Ready| (one.peer.to_owned(), one.seconds);
            let opening = ready.iter().map(seconds).collect();
            let work = self.time(one, &mut timed, ready, ours, until);
            println!("{}", turns::line(&timed));
            let (flops, bytes) = match work {
                Ok(Work { flops, bytes }) => (Some(flops), Some(bytes)),
                Err(error) => {
                    book.not_run(&format!("least time of {}", one.title()), &format!("{error:#}"))?;
                    (None, None)
                }
            };
            book.write(&Record::Speed(Speed { timed, flops, bytes, opening }))?;
        }
        Ok(())
    }

    /// Times a case; returns what it cannot do without.
    fn time(
        &self,
        one: &One,
        timed: &mut Timed,
        mut ready: Vec<Ready>,
        ours: &mut Ours,
        until: Instant,
    ) -> Result<Work> {
        let patience = (Instant::now() + PATIENCE).min(until + CASE);
        let mut open: Vec<(&str, &mut Worker)> = Vec::new();
        let mut work = None;
        if let Some(worker) = ours.on_device.open(&one.on(self.device), patience, timed) {
            work = Some(worker.work(&one.on(CPU)));
            open.push((MFLOW, worker));
        }
        if one.cpu
            && let Some(own) = &mut ours.on_cpu
            && let Some(worker) = own.open(&one.on(CPU), patience, timed)
        {
            open.push((CPU, worker));
        }
        for Ready { peer, worker, note, .. } in &mut ready {
            worker.set_deadline(patience);
            timed.notes.insert((*peer).to_owned(), std::mem::take(note));
            open.push((peer, worker));
        }
        for error in turns::take(timed, open, self.limits(until)) {
            println!("{}: {error:#}", one.title());
        }
        ours.on_device.end_if_failed(timed);
        if let Some(own) = &mut ours.on_cpu {
            own.end_if_failed(timed);
        }
        match work {
            Some(Ok(work)) => work.map_err(anyhow::Error::msg),
            Some(Err(error)) => Err(error),
            None => bail!("our worker did not open it"),
        }
    }

    fn limits(&self, until: Instant) -> Limits {
        let (block, rounds) = match self.preset {
            Preset::Full => (0.15, 5),
            Preset::Toy => (0.05, 2),
        };
        Limits { block, rounds, seconds: 6.0, fewest: 2, until: Some(until) }
    }
}

/// A peer's worker.
fn peer_command(python: &Path, peer: &str, device: &str) -> Command {
    let mut command = Command::new(python);
    command.arg(format!("xtask/compare/peer_{peer}.py")).env("JAX_PLATFORMS", device);
    // Many processes share the device: one that takes all of its memory leaves none to the others.
    command.env("XLA_PYTHON_CLIENT_PREALLOCATE", "false");
    command
}

/// Our workers.
struct Ours {
    on_device: Own,
    /// Nothing where the device is the CPU.
    on_cpu: Option<Own>,
}

impl Ours {
    fn new(speeds: &Speeds<'_>) -> Result<Self> {
        let own = |name| -> Result<Own> {
            let log = speeds.log.try_clone().context("sharing the log")?;
            Ok(Own { name, program: speeds.programs.worker.clone(), log, worker: None })
        };
        let on_cpu = (speeds.device != CPU).then(|| own(CPU)).transpose()?;
        Ok(Self { on_device: own(MFLOW)?, on_cpu })
    }
}

/// A worker of ours, started anew after a failure.
struct Own {
    name: &'static str,
    program: PathBuf,
    log: File,
    worker: Option<Worker>,
}

impl Own {
    fn get(&mut self, until: Instant) -> Result<&mut Worker> {
        if self.worker.is_none() {
            let log = self.log.try_clone().context("sharing the log")?;
            let mut command = bench::without_own_threads(&self.program);
            self.worker = Some(Worker::start(self.name, command.stderr(log))?);
        }
        let worker = self.worker.as_mut().context("a worker that was not started")?;
        worker.set_deadline(until);
        Ok(worker)
    }

    /// The worker with its case open; or a note on why it is not.
    fn open(
        &mut self,
        case: &serde_json::Value,
        until: Instant,
        timed: &mut Timed,
    ) -> Option<&mut Worker> {
        let opened = self.get(until).and_then(|worker| worker.open(case));
        match opened {
            Ok(Ok(_)) => return self.worker.as_mut(),
            Ok(Err(why)) => timed.lacks(self.name, &why),
            Err(error) => {
                timed.lacks(self.name, &format!("{error:#}"));
                self.worker = None;
            }
        }
        None
    }

    fn end_if_failed(&mut self, timed: &Timed) {
        if timed.notes.contains_key(self.name) {
            self.worker = None;
        }
    }
}

/// The least seconds that a device with these ceilings takes, if both are known.
pub(super) fn least(work: (Option<f64>, Option<f64>), ceilings: (f64, f64)) -> Option<f64> {
    let (flops, bytes) = (work.0?, work.1?);
    Some((flops / ceilings.0).max(bytes / ceilings.1))
}

/// Points per second of `seconds` for a batch, as text.
pub(super) fn rate(batch: usize, seconds: Option<f64>) -> String {
    seconds.map_or("-".to_owned(), |seconds| number::short(batch as f64 / seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_time_is_the_longer_one() {
        assert_eq!(least((Some(2e9), Some(1e6)), (1e9, 1e9)), Some(2.0));
        assert_eq!(least((Some(2e6), Some(5e9)), (1e9, 1e9)), Some(5.0));
        assert_eq!(least((None, Some(5e9)), (1e9, 1e9)), None);
        assert_eq!(rate(1000, Some(0.5)), "2000");
    }
}
