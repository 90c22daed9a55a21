//! A run's directory: its identity, its lock, its metrics, its checkpoint.
use crate::attempt::Attempt;
use crate::choose::TRIAL;
use crate::progress::EpochMetrics;
use crate::team::{self, Team};
use crate::{Error, Result};
use mflow_bijectors::fnv1a;
use mflow_core::{DeviceName, create_folder, is_part, remove_parts, write_atomically};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What a resumed run must share with the one that was started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Version of mflow.
    pub version: String,
    /// Everything that was configured.
    pub config: Value,
    /// Hash of the data.
    pub data: String,
    /// Hash of the data for validation, if they are separate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<String>,
    /// Number of row shards.
    pub shards: usize,
    /// Where it is computed: other devices round differently.
    #[serde(default)]
    pub device: DeviceName,
}

impl Identity {
    /// The same for equal ones only, but for chance.
    pub(crate) fn hash(&self) -> u64 {
        fnv1a(format!("{self:?}").as_bytes())
    }
}

/// A locked directory that holds one run.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Held for as long as the run lives; the system lets go when the process dies. None of a process that writes nothing.
    lock: Option<File>,
    resumed: bool,
}

const IDENTITY: &str = "run.json";
const LOCK: &str = "lock";
/// Name of the file in a run directory in which the caller keeps the run's settings; it is written before the
/// identity, if at all.
pub const CONFIG_FILE: &str = "config.toml";
const METRICS: &str = "metrics.jsonl";
const ATTEMPTS: &str = "attempts.json";

impl RunDir {
    /// Start a run in `path`, or with `resume` continue the one that is there, if any.
    ///
    /// # Errors
    /// If the directory is in use, holds another run (without `resume`), anything that is no run, or links in the place of its
    /// files, or cannot be written.
    pub fn open(path: &Path, resume: bool) -> Result<Self> {
        let io = |p: &Path| mflow_core::Error::io(p.to_owned());
        let foreign = || {
            // A run that died before it described itself leaves its lock, its trials, its config and parts.
            let locked = path.join(LOCK).exists();
            let own = |name: &OsStr| {
                name == LOCK
                    || locked
                        && ([CONFIG_FILE, ATTEMPTS].contains(&&*name.to_string_lossy())
                            || is_part(name))
            };
            let entries = fs::read_dir(path).ok()?.filter_map(std::result::Result::ok);
            entries.map(|e| e.file_name()).find(|name| !own(name))
        };
        if path.exists() && !path.is_dir() {
            return Err(Error::run(path, "expected a directory, found a file"));
        }
        let lock_path = path.join(LOCK);
        let holds_a_run = |is_locked: bool| {
            let started = path.join(IDENTITY).exists();
            if started && !resume {
                let reason = "already holds a run; continue it with --resume auto or choose another \
                              --out";
                return Err(Error::run(path, reason));
            }
            // What another process is writing is not foreign: as long as it has the lock, that is all to look at.
            if !started
                && (is_locked || !lock_path.exists())
                && let Some(name) = foreign()
            {
                let reason = format!(
                    "expected an empty directory or a run, found {}; choose another --out",
                    name.display()
                );
                return Err(Error::run(path, reason));
            }
            Ok(started)
        };
        // Nothing is added to a folder that is no run.
        holds_a_run(false)?;
        refuse_links(path)?;
        create_folder(path)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::run(path, "is in use by another process"));
            }
            Err(TryLockError::Error(e)) => return Err(io(&lock_path)(e).into()),
        }
        // Another process may have begun a run, or ended one, until the lock was ours.
        let resumed = holds_a_run(true)?;
        // Whoever wrote parts of files is dead.
        remove_parts(path)?;
        Ok(Self { path: path.to_owned(), lock: Some(lock), resumed })
    }

    /// [`RunDir::open`] by the first process of a team, for all: what the others do to it has no effect. All of them call it.
    ///
    /// # Errors
    /// As [`RunDir::open`], of the first process.
    pub fn open_together(path: &Path, resume: bool, team: &dyn Team) -> Result<Self> {
        // Before all have come, nothing is written that one of them might take for the run of an earlier day.
        team::any(team, false)?;
        if team.is_first() {
            let run = Self::open(path, resume)?;
            team::any(team, run.resumed)?;
            return Ok(run);
        }
        let resumed = team::any(team, false)?;
        Ok(Self { path: path.to_owned(), lock: None, resumed })
    }

    /// Whether this process writes the run's files.
    pub fn writes(&self) -> bool {
        self.lock.is_some()
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Whether it held a run already.
    pub fn resumed(&self) -> bool {
        self.resumed
    }
    /// The file `name` in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Write the identity of a new run, or compare it with that of a resumed one.
    ///
    /// # Errors
    /// [`Error::ResumeMismatch`], naming the first field that differs.
    pub fn identify(&self, now: &Identity) -> Result<()> {
        let path = self.file(IDENTITY);
        let to_value =
            |i: &Identity| serde_json::to_value(i).map_err(|e| Error::run(&path, e.to_string()));
        let now = to_value(now)?;
        if !self.resumed {
            if !self.writes() {
                return Ok(());
            }
            let text =
                serde_json::to_string_pretty(&now).map_err(|e| Error::run(&path, e.to_string()))?;
            write_atomically(&path, |file| writeln!(file, "{text}"))?;
            return Ok(());
        }
        let text = fs::read_to_string(&path).map_err(mflow_core::Error::io(&path))?;
        let was: Identity = serde_json::from_str(&text)
            .map_err(|e| Error::run(&path, format!("is no run description: {e}")))?;
        match difference("", &to_value(&was)?, &now) {
            None => Ok(()),
            Some((field, was, now)) => {
                Err(Error::ResumeMismatch { path: self.path.clone(), field, was, now })
            }
        }
    }

    /// Length of the metrics file in bytes, all of which outlast a power cut by then: a checkpoint that has seen them must
    /// not outlast them.
    pub(crate) fn sync_metrics(&self) -> Result<u64> {
        let path = self.file(METRICS);
        if !path.exists() {
            return Ok(0);
        }
        let file = OpenOptions::new().append(true).open(&path);
        let length = file.and_then(|f| {
            f.sync_all()?;
            Ok(f.metadata()?.len())
        });
        Ok(length.map_err(mflow_core::Error::io(path))?)
    }

    /// Cut the metrics back to `len` bytes: what the checkpoint has seen.
    pub(crate) fn truncate_metrics(&self, len: u64) -> Result<()> {
        if !self.writes() {
            return Ok(());
        }
        let path = self.file(METRICS);
        let io = || mflow_core::Error::io(path.clone());
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(io())?;
        let found = file.metadata().map_err(io())?.len();
        if found < len {
            let reason = format!(
                "expected the {len} bytes that the checkpoint has seen, found {found}: it was replaced or damaged; put it \
                 back, or remove checkpoint.safetensors to start over"
            );
            return Err(Error::run(&path, reason));
        }
        Ok(file.set_len(len).map_err(io())?)
    }

    /// Append a line of metrics.
    pub(crate) fn append_metrics(&self, metrics: &EpochMetrics) -> Result<()> {
        if !self.writes() {
            return Ok(());
        }
        let path = self.file(METRICS);
        let mut line =
            serde_json::to_string(metrics).map_err(|e| Error::run(&path, e.to_string()))?;
        line.push('\n');
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let written = file.and_then(|mut f| f.write_all(line.as_bytes()));
        Ok(written.map_err(mflow_core::Error::io(path))?)
    }

    /// Write all attempts at learning a manifold so far.
    pub(crate) fn write_attempts(&self, attempts: &[Attempt]) -> Result<()> {
        if !self.writes() {
            return Ok(());
        }
        let path = self.file(ATTEMPTS);
        let text =
            serde_json::to_string_pretty(attempts).map_err(|e| Error::run(&path, e.to_string()))?;
        Ok(write_atomically(&path, |file| writeln!(file, "{text}"))?)
    }

    /// Write the trials by which model and start were chosen: call it before the training starts, whose attempts are
    /// added behind them.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_trials(&self, trials: &[Attempt]) -> Result<()> {
        self.write_attempts(trials)
    }

    /// The trials among the attempts.
    pub(crate) fn trials(&self) -> Result<Vec<Attempt>> {
        Ok(self.attempts()?.into_iter().filter(|a| a.stage == TRIAL).collect())
    }

    /// The attempts at learning a manifold that have ended.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn attempts(&self) -> Result<Vec<Attempt>> {
        read_attempts(&self.path)
    }

    /// The metrics so far.
    ///
    /// # Errors
    /// If the file cannot be read or a line is malformed.
    pub fn metrics(&self) -> Result<Vec<EpochMetrics>> {
        read_metrics(&self.path)
    }
}

/// Refuse a run whose files that are written in place lie elsewhere: a folder from someone else could name a file of the user,
/// which would be cut.
fn refuse_links(path: &Path) -> Result<()> {
    for name in [LOCK, METRICS] {
        let file = path.join(name);
        if fs::symlink_metadata(&file).is_ok_and(|found| found.is_symlink()) {
            let reason = "expected a file of the run, found a link to another one; remove it";
            return Err(Error::run(&file, reason));
        }
    }
    Ok(())
}

/// The metrics of the run in the directory `run`, which need not be open.
///
/// # Errors
/// If the file cannot be read or a line is malformed.
pub fn read_metrics(run: &Path) -> Result<Vec<EpochMetrics>> {
    let path = run.join(METRICS);
    let text = fs::read_to_string(&path).map_err(mflow_core::Error::io(&path))?;
    let parse = |(i, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| Error::run(&path, format!("line {}: {e}", i + 1)))
    };
    text.lines().enumerate().map(parse).collect()
}

/// The attempts at learning a manifold that have ended in the run in the directory `run`, which need not be
/// open.
///
/// # Errors
/// If the file is there and cannot be read.
pub fn read_attempts(run: &Path) -> Result<Vec<Attempt>> {
    let path = run.join(ATTEMPTS);
    if !path.exists() {
        return Ok(vec![]);
    }
    let text = fs::read_to_string(&path).map_err(mflow_core::Error::io(&path))?;
    serde_json::from_str(&text).map_err(|e| Error::run(&path, format!("is no list: {e}")))
}

/// The first field in which two JSON values differ, with both values.
fn difference(path: &str, was: &Value, now: &Value) -> Option<(String, String, String)> {
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (was, now) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| {
                let missing = &Value::Null;
                let (a, b) = (a.get(key).unwrap_or(missing), b.get(key).unwrap_or(missing));
                difference(&join(key), a, b)
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let mut pairs = a.iter().zip(b).enumerate();
            pairs.find_map(|(i, (a, b))| difference(&format!("{path}[{i}]"), a, b))
        }
        _ if was == now => None,
        _ => Some((path.to_owned(), was.to_string(), now.to_string())),
    }
}
