//! Who is at which run: a file beside each run that is being done. Callers on one machine, or on many that share the
//! folder, find it and leave the run alone.
//!
//! A file system that many machines share may not have locks, so the file alone is the claim: its owner creates it,
//! keeps its time fresh and removes it. The claim of an owner that died grows old.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{files, shell};

/// How often an owner says that it is alive.
const BEAT: Duration = Duration::from_secs(30);

/// The age at which a claim is worth nothing: many beats, as clocks differ and file systems remember times for a while.
const STALE: Duration = Duration::from_mins(5);

/// A claim that this process holds until it drops it.
#[derive(Debug)]
pub(super) struct Claim {
    path: PathBuf,
    text: String,
    /// Ends the beats when it is dropped.
    _alive: Sender<()>,
}

/// What became of an attempt to claim a run.
#[derive(Debug)]
pub(super) enum Taken {
    /// The run is ours.
    Ours(Claim),
    /// The run is that of somebody, who is described here.
    Theirs(String),
}

/// What a claim says of its owner.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Owner {
    host: String,
    process: u32,
    /// The task of a job array, like `12_3`.
    slurm: Option<String>,
}

impl Owner {
    fn here() -> Self {
        // Where nobody knows the name, nobody is known to have died either.
        let host = shell::read(Command::new("uname").arg("-n")).unwrap_or_default();
        let host = host.trim().to_owned();
        Self { host, process: process::id(), slurm: super::slurm::task_id() }
    }

    /// Whether the owner is known to have died, seen from `here`.
    fn is_dead(&self, here: &Self) -> bool {
        // Slurm starts a task again only when it has ended.
        let was_me = self.slurm.is_some() && self.slurm == here.slurm;
        // Without /proc nobody is known to have died, and claims have to grow old.
        let processes = Path::new("/proc");
        let is_gone = self.host == here.host
            && processes.join("self").exists()
            && !processes.join(self.process.to_string()).exists();
        was_me || is_gone
    }

    fn describe(&self) -> String {
        let slurm =
            self.slurm.as_ref().map_or(String::new(), |task| format!(", Slurm task {task}"));
        format!("process {} on {}{slurm}", self.process, self.host)
    }
}

impl Claim {
    /// Claims a run by the file `path`, unless somebody who is alive has it.
    pub(super) fn take(path: &Path) -> Result<Taken> {
        let here = Owner::here();
        loop {
            if let Some(claim) = Self::create(path, &here)? {
                return Ok(Taken::Ours(claim));
            }
            let read = || Ok((fs::read_to_string(path)?, fs::metadata(path)?.modified()?));
            let Some((text, beat)) = found(read()).with_context(|| at("reading", path))? else {
                continue; // given back just now
            };
            let age = SystemTime::now().duration_since(beat).unwrap_or_default();
            // Nothing can be read between the creation of the file and its first bytes.
            let owner: Option<Owner> = serde_json::from_str(&text).ok();
            if age < STALE && !owner.as_ref().is_some_and(|owner| owner.is_dead(&here)) {
                let owner = owner.map_or("somebody".to_owned(), |owner| owner.describe());
                return Ok(Taken::Theirs(owner));
            }
            remove(path, &text)?;
        }
    }

    /// The claim, unless its file is there already.
    fn create(path: &Path, here: &Owner) -> Result<Option<Self>> {
        let text = serde_json::to_string(here).context("writing a claim as JSON")?;
        path.parent().map_or(Ok(()), fs::create_dir_all).with_context(|| at("writing", path))?;
        let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
            file => file.with_context(|| at("writing", path))?,
        };
        file.write_all(text.as_bytes()).with_context(|| at("writing", path))?;
        let (alive, ended) = mpsc::channel();
        thread::spawn(move || {
            while ended.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                // A beat that is missed is made up for by the next.
                let _ = file.set_modified(SystemTime::now());
            }
        });
        Ok(Some(Self { path: path.to_owned(), text, _alive: alive }))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // If this fails, the claim is that of a process that is gone.
        let _ = remove(&self.path, &self.text);
    }
}

/// Removes the claim with this text, and no other that came in its place meanwhile.
fn remove(path: &Path, text: &str) -> Result<()> {
    // Of several who rename a file one succeeds.
    let aside = path.with_extension(format!("claim-{}", process::id()));
    if found(fs::rename(path, &aside)).with_context(|| at("removing", path))?.is_none() {
        return Ok(());
    }
    if files::read(&aside)? != text {
        // Does nothing if there is yet another one: then a run has two owners, of whom mflow's lock stops one.
        let _ = fs::hard_link(&aside, path);
    }
    fs::remove_file(&aside).with_context(|| at("removing", &aside))
}

/// Nothing where there was no file.
fn found<T>(result: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

fn at(what: &str, path: &Path) -> String {
    format!("{what} {}", path.display())
}

/// Whether a process on this machine, or on another whose file system has locks, holds the lock of this file.
pub(super) fn is_locked(path: &Path) -> bool {
    let file = OpenOptions::new().write(true).open(path);
    file.is_ok_and(|file| matches!(File::try_lock(&file), Err(fs::TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a test has its claim, which it gives back.
    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("xtask-{}-{name}", process::id()))
    }

    fn is_ours(path: &Path) -> bool {
        matches!(Claim::take(path).unwrap(), Taken::Ours(_))
    }

    fn write(path: &Path, owner: &Owner) {
        files::write(path, serde_json::to_string(owner).unwrap().as_bytes()).unwrap();
    }

    #[test]
    fn a_run_has_one_owner_at_a_time() {
        let path = path("one.claim");
        let Taken::Ours(claim) = Claim::take(&path).unwrap() else { panic!("nobody has it") };
        let Taken::Theirs(owner) = Claim::take(&path).unwrap() else { panic!("it is taken") };
        assert!(owner.contains(&format!("process {}", process::id())), "{owner}");
        drop(claim);
        assert!(!path.exists(), "it is given back");
        assert!(is_ours(&path), "and free");
    }

    #[test]
    fn of_many_who_claim_at_once_one_succeeds() {
        let path = path("many.claim");
        write(&path, &Owner { process: u32::MAX, ..Owner::here() });
        let claims: Vec<Taken> = thread::scope(|scope| {
            let threads = (0..8).map(|_| scope.spawn(|| Claim::take(&path).unwrap()));
            let threads: Vec<_> = threads.collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let ours = claims.iter().filter(|taken| matches!(taken, Taken::Ours(_))).count();
        assert_eq!(ours, 1, "{claims:?}");
    }

    #[test]
    fn claims_of_the_dead_are_worth_nothing() {
        let path = path("dead.claim");
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let dead = Owner { process: child.id(), ..Owner::here() };
        write(&path, &dead);
        assert!(is_ours(&path), "on this machine that is seen at once");

        let elsewhere = Owner { host: "elsewhere".to_owned(), ..dead };
        write(&path, &elsewhere);
        assert!(!is_ours(&path), "on another it may be alive");
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - STALE).unwrap();
        assert!(is_ours(&path), "until it is silent for long");
    }

    #[test]
    fn a_task_knows_itself() {
        let task = |process: u32, slurm: Option<&str>| Owner {
            host: process.to_string(),
            process,
            slurm: slurm.map(str::to_owned),
        };
        assert!(task(1, Some("12_3")).is_dead(&task(2, Some("12_3"))), "it was started again");
        assert!(!task(1, Some("12_3")).is_dead(&task(2, Some("12_4"))), "that is another");
        assert!(!task(1, None).is_dead(&task(2, None)), "neither is a task");
    }

    #[test]
    fn a_claim_that_was_replaced_stays() {
        let path = path("replaced.claim");
        files::write(&path, b"new").unwrap();
        remove(&path, "old").unwrap();
        assert_eq!(files::read(&path).unwrap(), "new");
        remove(&path, "new").unwrap();
        assert!(!path.exists());
    }
}
