//! Kills, signals and losses of power at random moments, until each run has come to its end.

use std::fmt::Write;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::cases::{Again, Case};
use super::compare::{self, Tree};
use super::program::{Ended, Fault, Place, Program};
use super::random::Random;

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;
/// What the program returns when it stopped where it can go on.
const INTERRUPTED: i32 = 130;
/// Disturbances that come too late, one after the other, before the case is called too short.
const TOO_LATE: usize = 20;

/// How a run is disturbed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Kill,
    Term,
    /// A loss of power, by the word of the library.
    Cut(&'static str),
}

/// All kinds, in the order of the table.
pub(super) const KINDS: [Kind; 5] =
    [Kind::Kill, Kind::Term, Kind::Cut("cut"), Kind::Cut("cut-names"), Kind::Cut("cut-zeros")];

/// What a case went through.
#[derive(Debug)]
pub(super) struct Survived {
    pub(super) name: String,
    /// Disturbances of each of [`KINDS`].
    pub(super) hits: [usize; KINDS.len()],
    /// Times that the program was started.
    pub(super) starts: usize,
    /// Runs that came to their end.
    pub(super) runs: usize,
    /// Seconds of an undisturbed run.
    pub(super) seconds: f64,
}

/// An undisturbed run, to compare with.
struct Whole {
    tree: Tree,
    seconds: f64,
    /// Calls that change the disk.
    calls: usize,
}

impl Whole {
    /// Runs the command, and once more with a disk that counts: that alone changes nothing.
    fn of(program: &Program, case: &Case) -> Result<Self> {
        let place = program.place(&format!("kills/{}/whole", case.name))?;
        let seconds = program.succeeds(&case.command, &place)?.seconds;
        let tree = compare::tree(&place.path)?;
        let place = program.place(&format!("kills/{}/counted", case.name))?;
        let counted = program.run(&case.command, &place, Some(Fault::none()))?;
        ensure!(counted.status.success(), "{counted}");
        compare::same(&tree, &compare::tree(&place.path)?)
            .context("two undisturbed runs differ")?;
        let calls = counted.calls.context("expected the library to count calls")?;
        Ok(Self { tree, seconds, calls })
    }
}

/// Disturbs a case so many times.
pub(super) fn run(program: &Program, case: &Case, count: usize, seed: u64) -> Result<Survived> {
    let whole = Whole::of(program, case)?;
    let mut soak = Soak {
        program,
        case,
        random: Random::new(seed, &case.name),
        survived: Survived {
            name: case.name.clone(),
            hits: [0; KINDS.len()],
            starts: 0,
            runs: 0,
            seconds: whole.seconds,
        },
        whole,
        late: 0,
        log: String::new(),
    };
    let mut first = soak.random.below(KINDS.len());
    let mut left = count;
    while left > 0 {
        soak.log.clear();
        let hits = soak.one_run(&mut first, left).with_context(|| soak.log.clone())?;
        left -= hits;
        soak.late = if hits == 0 { soak.late + 1 } else { 0 };
        ensure!(
            soak.late < TOO_LATE,
            "{TOO_LATE} disturbances came too late: make the case longer"
        );
    }
    Ok(soak.survived)
}

struct Soak<'a> {
    program: &'a Program,
    case: &'a Case,
    random: Random,
    whole: Whole,
    survived: Survived,
    /// Runs that came to their end before they were disturbed, since the last one that did not.
    late: usize,
    /// What was done to the present run.
    log: String,
}

impl Soak<'_> {
    /// Disturbs a run until it ends, or so many times; how often it was.
    fn one_run(&mut self, kind: &mut usize, most: usize) -> Result<usize> {
        let place = self.program.place(&format!("kills/{}/disturbed", self.case.name))?;
        let mut hits = 0;
        while hits < most && !self.is_refused_now(&place)? {
            let index = *kind % KINDS.len();
            let is_hit = self.disturb(KINDS[index], &place)?;
            self.survived.starts += 1;
            if !is_hit {
                break;
            }
            *kind += 1;
            hits += 1;
            self.survived.hits[index] += 1;
            self.no_half_files(&place)?;
        }
        if !self.is_refused_now(&place)? {
            self.survived.starts += 1;
            self.program.succeeds(&self.case.resumed(), &place)?;
        }
        let mut found = compare::tree(&place.path)?;
        if self.case.again == Again::Anew {
            found.retain(|name, _| !compare::is_part(name));
        }
        compare::same(&self.whole.tree, &found)?;
        self.survived.runs += 1;
        Ok(hits)
    }

    /// Whether the command would be refused, as all of its work is done.
    fn is_refused_now(&self, place: &Place) -> Result<bool> {
        let is_done =
            || anyhow::Ok(compare::same(&self.whole.tree, &compare::tree(&place.path)?).is_ok());
        Ok(self.case.again == Again::Once && is_done()?)
    }

    /// Starts the command and disturbs it; whether that was before its end.
    fn disturb(&mut self, kind: Kind, place: &Place) -> Result<bool> {
        let command = self.case.resumed();
        // The undisturbed run may have been slow by chance.
        let longest = self.whole.seconds / (self.late + 1) as f64;
        let moment = Duration::from_secs_f64(longest * self.random.fraction());
        let at = 1 + self.random.below(self.whole.calls);
        let fault = match kind {
            Kind::Cut(word) => {
                write!(self.log, "{word} at call {at}; ")?;
                Some(Fault::new(word, at))
            }
            Kind::Kill | Kind::Term => {
                write!(self.log, "{kind:?} after {moment:.3?}; ")?;
                None
            }
        };
        let running = self.program.start(&command, place, fault)?;
        let ended = match kind {
            Kind::Kill => {
                sleep(moment);
                running.kill()?
            }
            Kind::Term => {
                sleep(moment);
                running.signal("TERM")?;
                running.wait()?
            }
            Kind::Cut(_) => running.wait()?,
        };
        ensure!(!ended.err.contains("panicked"), "{ended}");
        is_hit(kind, &ended)
    }

    /// A file that has its own name is whole, where others do not go on from it.
    fn no_half_files(&self, place: &Place) -> Result<()> {
        if self.case.again == Again::Resumes {
            return Ok(());
        }
        for (name, bytes) in compare::tree(&place.path)? {
            if let Some(expected) = self.whole.tree.get(&name) {
                compare::is_same(&name, expected, &bytes).context("after the disturbance")?;
            }
        }
        Ok(())
    }
}

/// Whether a disturbance came before the end of the work; an end that is none of both is an error.
fn is_hit(kind: Kind, ended: &Ended) -> Result<bool> {
    let code = ended.status.code();
    let is_killed = match kind {
        Kind::Kill => ended.is_by_signal(SIGKILL),
        // Before it listens, and where there is nothing to go on from, a signal does what it always does.
        Kind::Term => code == Some(INTERRUPTED) || ended.is_by_signal(SIGTERM),
        Kind::Cut(_) => ended.is_by_signal(SIGKILL) && ended.is_hit,
    };
    match (is_killed, code) {
        (true, _) => Ok(true),
        (false, Some(0)) => Ok(false),
        (false, _) => bail!("{ended}"),
    }
}
