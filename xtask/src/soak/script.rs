//! What people do to runs: two processes at once, a folder that goes, what a killed process left. A process that is stopped
//! in the middle of a call, and let go on, stands for one that is slow.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::cases::Case;
use super::compare::{self, Tree};
use super::program::{Ended, Fault, Place, Program};
use crate::files;

/// A check by its name; it says what it found.
pub(super) type Check = (&'static str, fn(&Scene<'_>) -> Result<String>);

/// All of them.
pub(super) const CHECKS: [Check; 4] = [
    ("two-processes", two_processes),
    ("at-once", at_once),
    ("removed-folder", removed_folder),
    ("killed-before", killed_before),
];

/// Two processes that start at the same moment, so often.
const TIMES: usize = 10;
const IN_USE: &str = "in use by another process";

/// A short fit, and what it leaves when nobody disturbs it.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    program: &'a Program,
    case: &'a Case,
    whole: Tree,
    /// Calls at which it is stopped.
    moments: Vec<usize>,
}

impl<'a> Scene<'a> {
    /// With the moments of every `stride`-th call.
    pub(super) fn new(program: &'a Program, case: &'a Case, stride: usize) -> Result<Self> {
        let place = program.place("script/whole")?;
        let counted = program.run(&case.command, &place, Some(Fault::none()))?;
        ensure!(counted.status.success(), "{counted}");
        let calls = counted.calls.context("expected the library to count calls")?;
        let moments = (1..=calls).step_by(stride).collect();
        Ok(Self { program, case, whole: compare::tree(&place.path)?, moments })
    }

    fn place(&self) -> Result<Place> {
        self.program.place("script/tried")
    }

    /// Goes on with the run, if it is not finished: it has the bits of the undisturbed one.
    fn ends_well(&self, place: &Place) -> Result<()> {
        self.program.succeeds(&self.case.resumed(), place)?;
        self.is_whole(place)
    }

    fn is_whole(&self, place: &Place) -> Result<()> {
        compare::same(&self.whole, &compare::tree(&place.path)?)
    }
}

fn is_sane(ended: &Ended) -> Result<()> {
    let is_sane = matches!(ended.status.code(), Some(0 | 1)) && !ended.err.contains("panicked");
    ensure!(is_sane, "{ended}");
    Ok(())
}

/// The second one is refused and changes nothing, wherever the first one is.
fn two_processes(scene: &Scene<'_>) -> Result<String> {
    let mut refused = 0;
    for &at in &scene.moments {
        let is_refused = second_process(scene, at).with_context(|| format!("at call {at}"))?;
        refused += usize::from(is_refused);
    }
    Ok(format!(
        "a second process, while the first one stands at one of {} calls: {refused} times it is refused and changes nothing; \
         else the first one had not begun, and both end with the same bits",
        scene.moments.len()
    ))
}

/// Whether the second process is refused while the first one stands at a call.
fn second_process(scene: &Scene<'_>, at: usize) -> Result<bool> {
    let Scene { program, case, .. } = scene;
    let place = scene.place()?;
    let mut first = program.start(&case.command, &place, Some(Fault::new("pause", at)))?;
    ensure!(first.is_paused()?, "it ended before");
    let before = compare::tree(&place.path)?;
    let second = program.run(&case.resumed(), &place.heard_as("second"), None)?;
    is_sane(&second)?;
    let is_refused = !second.status.success();
    if is_refused {
        ensure!(second.err.contains(IN_USE), "expected `{IN_USE}`: {second}");
        ensure!(before == compare::tree(&place.path)?, "the second process changed files");
    }
    first.signal("CONT")?;
    let first = first.wait()?;
    is_sane(&first)?;
    if is_refused {
        ensure!(first.status.success(), "the first process was disturbed: {first}");
        scene.is_whole(&place)?;
    }
    scene.ends_well(&place)?;
    Ok(is_refused)
}

/// Of two that start together one does the work.
fn at_once(scene: &Scene<'_>) -> Result<String> {
    let Scene { program, case, .. } = scene;
    let mut refused = 0;
    for _ in 0..TIMES {
        let place = scene.place()?;
        let first = program.start(&case.resumed(), &place, None)?;
        let second = program.start(&case.resumed(), &place.heard_as("second"), None)?;
        let both = [first.wait()?, second.wait()?];
        for ended in &both {
            is_sane(ended)?;
            let is_refused = !ended.status.success();
            ensure!(!is_refused || ended.err.contains(IN_USE), "expected `{IN_USE}`: {ended}");
            refused += usize::from(is_refused);
        }
        ensure!(
            both.iter().any(|ended| ended.status.success()),
            "none of them did it: {}",
            both[0]
        );
        scene.ends_well(&place)?;
    }
    Ok(format!(
        "{TIMES} times two processes started at once: {refused} were refused, the run is the same"
    ))
}

/// A process whose folder is removed says so, and a new one starts anew.
fn removed_folder(scene: &Scene<'_>) -> Result<String> {
    let mut failed = 0;
    for &at in &scene.moments {
        let has_failed = without_folder(scene, at).with_context(|| format!("at call {at}"))?;
        failed += usize::from(has_failed);
    }
    Ok(format!(
        "the folder removed at one of {} calls: {failed} processes say what is missing, a new one has the same bits",
        scene.moments.len()
    ))
}

/// Whether a process fails whose folder is removed at a call.
fn without_folder(scene: &Scene<'_>, at: usize) -> Result<bool> {
    let place = scene.place()?;
    let fault = Fault::new("pause", at);
    let mut running = scene.program.start(&scene.case.command, &place, Some(fault))?;
    ensure!(running.is_paused()?, "it ended before");
    let was_done = scene.is_whole(&place).is_ok();
    let folders = fs::read_dir(&place.path)?.filter_map(Result::ok);
    folders.map(|entry| entry.path()).try_for_each(|path| files::remove_folder(&path))?;
    running.signal("CONT")?;
    let ended = running.wait()?;
    is_sane(&ended)?;
    let has_failed = !ended.status.success();
    if has_failed {
        let is_told = ended.err.contains(&place.name) && ended.err.contains("No such file");
        ensure!(is_told, "expected what is missing: {ended}");
    } else if !was_done {
        scene.is_whole(&place).context("it ended as if all were well")?;
    }
    scene.ends_well(&place)?;
    Ok(has_failed)
}

/// What a process left that was killed at any call, with parts of its files: the next one takes the lock and tidies up.
fn killed_before(scene: &Scene<'_>) -> Result<String> {
    for &at in &scene.moments {
        let tried = || {
            let place = scene.place()?;
            let fault = Fault::new("pause", at);
            let mut running = scene.program.start(&scene.case.command, &place, Some(fault))?;
            ensure!(running.is_paused()?, "it ended before");
            running.kill()?;
            for entry in fs::read_dir(&place.path)?.filter_map(Result::ok) {
                if entry.path().join("lock").exists() {
                    files::write(&entry.path().join("run.json.4711.tmp"), b"{")?;
                }
            }
            scene.ends_well(&place)
        };
        tried().with_context(|| format!("at call {at}"))?;
    }
    Ok(format!(
        "killed at one of {} calls: the next process takes over lock and folder, to the same bits",
        scene.moments.len()
    ))
}
