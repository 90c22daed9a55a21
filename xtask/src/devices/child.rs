//! Programs that are killed when their time is over.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::shell;

/// How often it is looked whether a program has ended.
const LOOK: Duration = Duration::from_millis(10);

/// How long the system may take to end what was killed, and to hand out what it wrote.
const PATIENCE: Duration = Duration::from_secs(1);

/// A program that has ended, or was killed.
#[derive(Debug)]
pub(super) struct Ended {
    /// Nothing if it was killed.
    pub(super) status: Option<ExitStatus>,
    pub(super) output: String,
    pub(super) complaints: String,
    pub(super) seconds: f64,
}

impl Ended {
    pub(super) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// How it ended, in words.
    pub(super) fn end(&self) -> String {
        match self.status {
            None => "killed: out of time".to_owned(),
            Some(status) if status.success() => "done".to_owned(),
            Some(status) => status.to_string(),
        }
    }
}

/// Runs it, at most until `deadline`, and keeps what it writes.
pub(super) fn run_until(command: &mut Command, deadline: Instant) -> Result<Ended> {
    run_watched(command, deadline, &mut || {})
}

/// As [`run_until`], with a look at something else while it runs, every few milliseconds, and after its end.
pub(super) fn run_watched(
    command: &mut Command,
    deadline: Instant,
    look: &mut dyn FnMut(),
) -> Result<Ended> {
    let line = shell::line(command);
    let pipes = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = pipes.spawn().with_context(|| format!("starting `{line}`"))?;
    let output = child.stdout.take().map(Kept::read);
    let complaints = child.stderr.take().map(Kept::read);
    let status =
        wait(&mut child, deadline, look).with_context(|| format!("waiting for `{line}`"))?;
    let seconds = start.elapsed().as_secs_f64();
    look();
    let until = Instant::now() + PATIENCE;
    let text = |kept: Option<Kept>| kept.map(|kept| kept.text(until)).unwrap_or_default();
    Ok(Ended { status, output: text(output), complaints: text(complaints), seconds })
}

/// Waits for its end; kills it at `deadline`.
fn wait(
    child: &mut Child,
    deadline: Instant,
    look: &mut dyn FnMut(),
) -> Result<Option<ExitStatus>> {
    loop {
        look();
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            break;
        }
        thread::sleep(LOOK);
    }
    // It may end by itself just now.
    let _ = child.kill();
    let until = Instant::now() + PATIENCE;
    // Not `wait`: what hangs in a driver does not end at all.
    while child.try_wait()?.is_none() && Instant::now() < until {
        thread::sleep(LOOK);
    }
    Ok(None)
}

/// What a pipe gave so far.
struct Kept {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Kept {
    fn read(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(n @ 1..) = pipe.read(&mut part) {
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend(&part[..n]);
            }
        });
        Self { bytes, reader }
    }

    /// All of it, or what there is at that moment: a program's own children may hold its pipes.
    fn text(self, until: Instant) -> String {
        while !self.reader.is_finished() && Instant::now() < until {
            thread::sleep(LOOK);
        }
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, seconds: f64) -> Ended {
        let deadline = Instant::now() + Duration::from_secs_f64(seconds);
        run_until(Command::new("sh").args(["-c", script]), deadline).unwrap()
    }

    #[test]
    fn a_program_that_ends_is_heard_out() {
        let ended = run("echo out; echo err >&2; exit 3", 10.0);
        assert_eq!((ended.output.as_str(), ended.complaints.as_str()), ("out\n", "err\n"));
        assert!(!ended.is_success() && ended.end().contains('3'), "{ended:?}");
        assert_eq!(run("true", 10.0).end(), "done");
    }

    #[test]
    fn a_program_that_hangs_is_killed_even_if_its_child_holds_the_pipe() {
        let start = Instant::now();
        let ended = run("echo first; sleep 20; echo second", 0.2);
        assert_eq!(
            (ended.output.as_str(), ended.end().as_str()),
            ("first\n", "killed: out of time")
        );
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }
}
