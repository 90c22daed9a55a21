//! The program under test: how it is started, disturbed and heard.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::{files, shell};

/// How long the program may take where it takes seconds.
const PATIENCE: Duration = Duration::from_mins(5);
/// Lines of complaints that are shown.
const SHOWN: usize = 4;
/// The library that stands for a disk that fails.
const LIBRARY: &str = "xtask/soak/disk.c";

/// The program, and where it works.
#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    /// The library, to be preloaded.
    disk: PathBuf,
    /// Where it is started, absolute.
    folder: PathBuf,
    /// Words of commands, by their names in braces.
    words: BTreeMap<String, String>,
}

/// What a disk does at one of the calls that change it, or a clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    /// As the library has it.
    pub(super) word: &'static str,
    /// At which call, from 1.
    pub(super) at: usize,
    /// Seconds by which the clock jumps.
    pub(super) clock: i64,
}

impl Fault {
    /// A disk that fails.
    pub(super) fn new(word: &'static str, at: usize) -> Self {
        Self { word, at, clock: 0 }
    }

    /// A disk that counts, and does nothing else.
    pub(super) fn none() -> Self {
        Self::new("none", 1)
    }
}

/// A folder for what commands write, which the disk watches, and files beside it for what they say.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Relative to where the program is started.
    pub(super) name: String,
    /// Absolute.
    pub(super) path: PathBuf,
    /// Who writes there, if several do.
    who: &'static str,
}

impl Place {
    /// The same place, for another process, which is heard apart from the first one.
    pub(super) fn heard_as(&self, who: &'static str) -> Self {
        Self { who, ..self.clone() }
    }

    /// A file beside the folder, for what is no work of the program.
    fn beside(&self, what: &str) -> PathBuf {
        self.path.with_extension(format!("{}-{what}", self.who))
    }
}

impl Program {
    /// The program, with the library compiled for it, in a new folder.
    pub(super) fn new(
        path: PathBuf,
        folder: &Path,
        words: BTreeMap<String, String>,
    ) -> Result<Self> {
        files::remove_folder(folder)?;
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let folder = folder.canonicalize().context("finding the folder of the soak")?;
        let disk = folder.join("disk.so");
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]);
        shell::run(cc.arg(LIBRARY).arg("-o").arg(&disk).arg("-ldl"))?;
        Ok(Self { path, disk, folder, words })
    }

    /// A new and empty place.
    pub(super) fn place(&self, name: &str) -> Result<Place> {
        let place = Place { name: name.to_owned(), path: self.folder.join(name), who: "first" };
        files::remove_folder(&place.path)?;
        fs::create_dir_all(&place.path)
            .with_context(|| format!("making {}", place.path.display()))?;
        Ok(place)
    }

    /// Starts a command, whose words in braces are replaced: `{out}` by the place.
    pub(super) fn start(
        &self,
        command: &str,
        place: &Place,
        fault: Option<Fault>,
    ) -> Result<Running> {
        let mut line = command.replace("{out}", &place.name);
        for (word, text) in &self.words {
            line = line.replace(&format!("{{{word}}}"), text);
        }
        ensure!(!line.contains('{'), "expected only known words in braces, found `{line}`");
        let mut program = Command::new(&self.path);
        program.args(line.split_whitespace()).current_dir(&self.folder);
        for name in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS", "_MFLOW_THREADS"] {
            program.env_remove(name);
        }
        let notes = place.beside("notes");
        if let Some(fault) = fault {
            fs::remove_file(&notes).ok();
            program.env("LD_PRELOAD", &self.disk).env("DISK_NOTES", &notes);
            program.env("DISK_FOLDER", &place.path).env("DISK_FAULT", fault.word);
            program.env("DISK_AT", fault.at.to_string());
            if fault.clock != 0 {
                program.env("DISK_CLOCK", fault.clock.to_string());
            }
        }
        let said = ["said", "complained"].map(|name| place.beside(name));
        let file = |path: &PathBuf| {
            File::create(path).with_context(|| format!("writing {}", path.display()))
        };
        program.stdin(Stdio::null()).stdout(file(&said[0])?).stderr(file(&said[1])?);
        let child = program.spawn().with_context(|| format!("starting `{line}`"))?;
        Ok(Running { child, line, said, notes, began: Instant::now() })
    }

    /// Runs a command to its end.
    pub(super) fn run(&self, command: &str, place: &Place, fault: Option<Fault>) -> Result<Ended> {
        self.start(command, place, fault)?.wait()
    }

    /// Runs a command, which must succeed.
    pub(super) fn succeeds(&self, command: &str, place: &Place) -> Result<Ended> {
        let ended = self.run(command, place, None)?;
        ensure!(ended.status.success(), "{ended}");
        ensure!(!ended.err.contains("panicked"), "{ended}");
        Ok(ended)
    }
}

/// The program at work.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    line: String,
    said: [PathBuf; 2],
    notes: PathBuf,
    began: Instant,
}

impl Running {
    /// Kills it.
    pub(super) fn kill(mut self) -> Result<Ended> {
        self.child.kill().context("killing the program")?;
        self.wait()
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, name: &str) -> Result<()> {
        let id = self.child.id().to_string();
        shell::read(Command::new("kill").args(["-s", name, &id])).map(drop)
    }

    /// Waits until it was stopped by a disk that pauses; whether it was, or ended before.
    pub(super) fn is_paused(&mut self) -> Result<bool> {
        let status = format!("/proc/{}/stat", self.child.id());
        while self.began.elapsed() < PATIENCE {
            if self.child.try_wait()?.is_some() {
                return Ok(false);
            }
            // The state is the word after the name, which is in parentheses.
            let text = fs::read_to_string(&status).unwrap_or_default();
            if text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')) {
                return Ok(true);
            }
            sleep(Duration::from_millis(1));
        }
        bail!("`{}` was not paused for {PATIENCE:?}", self.line)
    }

    /// Waits for its end.
    pub(super) fn wait(mut self) -> Result<Ended> {
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            ensure!(
                self.began.elapsed() < PATIENCE,
                "`{}` did not end within {PATIENCE:?}",
                self.line
            );
            sleep(Duration::from_millis(1));
        };
        let [out, err] = [0, 1].map(|i| files::read(&self.said[i]));
        let notes = fs::read_to_string(&self.notes).unwrap_or_default();
        Ok(Ended {
            line: std::mem::take(&mut self.line),
            status,
            seconds: self.began.elapsed().as_secs_f64(),
            out: out?,
            err: err?,
            is_hit: notes.lines().any(|line| line.starts_with("fault ")),
            calls: notes.lines().find_map(|line| line.strip_prefix("calls ")?.parse().ok()),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Of a check that failed; else it is gone already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// How the program ended, and what it said.
#[derive(Debug)]
pub(super) struct Ended {
    line: String,
    pub(super) status: ExitStatus,
    pub(super) seconds: f64,
    pub(super) out: String,
    pub(super) err: String,
    /// Whether the disk failed.
    pub(super) is_hit: bool,
    /// Calls that changed the disk, of a program that ended by itself.
    pub(super) calls: Option<usize>,
}

impl Ended {
    /// Whether a signal of this number ended it.
    pub(super) fn is_by_signal(&self, number: i32) -> bool {
        self.status.signal() == Some(number)
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, status, err, .. } = self;
        let last: Vec<&str> = err.lines().collect();
        let last = &last[last.len().saturating_sub(SHOWN)..];
        write!(f, "`{line}` ended with {status}: {}", last.join("\n"))
    }
}
