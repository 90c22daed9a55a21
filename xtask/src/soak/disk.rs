//! Disks that are full, cannot sync or refuse all changes, at each call; power that goes right after the end; clocks that jump.

use anyhow::{Context, Result, bail, ensure};

use super::cases::{Again, Case, grows};
use super::compare::{self, Tree};
use super::program::{Ended, Fault, Place, Program};

/// Faults that come at a call, and what an error must say of them.
const AT_CALLS: [(&str, &str); 3] =
    [("full", "No space left"), ("short", "No space left"), ("sync", "Input/output error")];
/// Faults that are there from the start.
const FROM_THE_START: [(&str, &str); 2] =
    [("readonly", "Read-only file system"), ("denied", "Permission denied")];
/// A year, back and forth, in seconds.
const JUMPS: [i64; 2] = [-31_536_000, 31_536_000];

/// What a command went through.
#[derive(Debug)]
pub(super) struct Withstood {
    pub(super) name: String,
    /// Failures of each of [`AT_CALLS`].
    pub(super) at_calls: [usize; AT_CALLS.len()],
    /// Failures from the start.
    pub(super) refused: usize,
}

/// Tries a command whose disk fails at one of `stride` calls, or of more if it takes long.
pub(super) fn run(program: &Program, case: &Case, stride: usize) -> Result<Withstood> {
    let place = |name: &str| program.place(&format!("disk/{}/{name}", case.name));
    let whole = place("whole")?;
    program.succeeds(&case.command, &whole)?;
    let check = Check { program, case, whole: compare::tree(&whole.path)? };
    let mut withstood =
        Withstood { name: case.name.clone(), at_calls: [0; AT_CALLS.len()], refused: 0 };
    for (failures, (word, reason)) in withstood.at_calls.iter_mut().zip(AT_CALLS) {
        let mut at = 1;
        while check
            .fails(&place("failed")?, Fault::new(word, at), reason)
            .with_context(|| format!("disk {word} from call {at} on"))?
        {
            *failures += 1;
            at += stride * case.every;
        }
    }
    for (word, reason) in FROM_THE_START {
        let failed = check.fails(&place("failed")?, Fault::new(word, 1), reason);
        withstood.refused += usize::from(failed.with_context(|| format!("disk {word}"))?);
    }
    check.is_on_the_disk(&place("cut")?).context("power cut after the end")?;
    for clock in JUMPS {
        let place = place("clock")?;
        let ended = program.run(&case.command, &place, Some(Fault { clock, ..Fault::none() }))?;
        check.ends_well(&ended, &place).with_context(|| format!("clock {clock} s"))?;
    }
    Ok(withstood)
}

struct Check<'a> {
    program: &'a Program,
    case: &'a Case,
    whole: Tree,
}

impl Check<'_> {
    /// Whether the disk failed. If so the command must say it, leave nothing that looks whole, and end well afterwards.
    fn fails(&self, place: &Place, fault: Fault, reason: &str) -> Result<bool> {
        let ended = self.program.run(&self.case.command, place, Some(fault))?;
        if ended.status.success() {
            // The system may fail to sync a folder: what is in it is there, and nobody can do more.
            self.ends_well(&ended, place)?;
            return Ok(ended.is_hit && fault.word == "sync");
        }
        ensure!(ended.is_hit, "it failed without a reason: {ended}");
        self.is_told(&ended, place, reason)?;
        self.is_usable(&ended, place)?;
        if self.case.again == Again::Once
            && compare::same(&self.whole, &compare::tree(&place.path)?).is_ok()
        {
            return Ok(true);
        }
        let ended = self.program.run(&self.case.resumed(), place, None)?;
        self.ends_well(&ended, place).context("afterwards")?;
        Ok(true)
    }

    fn ends_well(&self, ended: &Ended, place: &Place) -> Result<()> {
        ensure!(ended.status.success(), "{ended}");
        ensure!(!ended.err.contains("panicked"), "{ended}");
        compare::same(&self.whole, &compare::tree(&place.path)?)
    }

    /// An error of one line that names a file and the reason.
    fn is_told(&self, ended: &Ended, place: &Place, reason: &str) -> Result<()> {
        ensure!(ended.status.code() == Some(1), "expected the exit code 1: {ended}");
        ensure!(!ended.err.contains("panicked"), "{ended}");
        let error = ended.err.lines().find(|line| line.starts_with("error: "));
        let Some(error) = error else { bail!("expected an error: {ended}") };
        ensure!(error.contains(&place.name), "expected an error that names a file: {error}");
        ensure!(error.contains(reason), "expected `{reason}` in the error: {error}");
        Ok(())
    }

    /// A file that has its own name, or is said to be written, is whole; and no parts are left but of what goes on.
    fn is_usable(&self, ended: &Ended, place: &Place) -> Result<()> {
        let left = compare::tree(&place.path)?;
        for (name, bytes) in &left {
            let Some(expected) = self.whole.get(name) else {
                let goes_on = name.ends_with(".part") || name.ends_with("progress.json");
                ensure!(goes_on && self.case.again == Again::Once, "{name} is left: {ended}");
                continue;
            };
            let is_usable = (grows(name) && expected.starts_with(bytes))
                || (name.ends_with(".json") && compare::is_whole(name, bytes))
                || compare::is_same(name, expected, bytes).is_ok();
            ensure!(is_usable, "{name} is no whole file: {ended}");
        }
        for name in self.whole.keys().filter(|name| !left.contains_key(*name)) {
            let path = format!("{}/{name}", place.name);
            let is_announced = ended.out.lines().any(|line| line.trim().starts_with(&path));
            ensure!(!is_announced, "it said that it wrote {name}, which is not there: {ended}");
        }
        Ok(())
    }

    /// When the command has ended, power may go: all that it wrote is on the disk.
    fn is_on_the_disk(&self, place: &Place) -> Result<()> {
        let ended =
            self.program.run(&self.case.command, place, Some(Fault::new("cut", usize::MAX)))?;
        ensure!(ended.is_hit, "expected a cut at the end: {ended}");
        compare::same(&self.whole, &compare::tree(&place.path)?)
    }
}
