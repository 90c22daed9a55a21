//! A process that times one library: a JSON object per line in, one per line out.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TryRecvError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::shell;

/// A worker that waits for requests; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    name: String,
    child: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
    /// It is killed if it has not answered by then.
    deadline: Option<Instant>,
}

/// What a worker answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    ready: bool,
    note: String,
    lacks: Option<String>,
    seconds: Vec<f64>,
    versions: Map<String, Value>,
    flops: Option<f64>,
    bytes: Option<f64>,
    error: Option<String>,
}

/// The additions and multiplications, and the bytes, of something or of a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    pub(crate) flops: f64,
    pub(crate) bytes: f64,
}

/// A note on how a case is done, or why it cannot be.
pub(crate) type Opened = std::result::Result<String, String>;

impl Worker {
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self> {
        let line = shell::line(command);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.with_context(|| format!("starting `{line}`"))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (requests, output) = pipes.context("a worker without pipes")?;
        let (sender, answers) = mpsc::channel();
        // In a thread, as reading from a pipe cannot be given up.
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            lines.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
        });
        Ok(Self { name: name.to_owned(), child, requests, answers, deadline: None })
    }

    /// From now on it is killed if it has not answered by then.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    fn ask(&mut self, request: &Value) -> Result<Answer> {
        self.send(request)?;
        let answer = match self.deadline {
            None => self.answers.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline) => {
                self.answers.recv_timeout(deadline.saturating_duration_since(Instant::now()))
            }
        };
        match answer {
            Ok(line) => self.read(&line),
            Err(RecvTimeoutError::Disconnected) => self.ended(),
            Err(RecvTimeoutError::Timeout) => {
                // It may have ended by itself.
                let _ = self.child.kill();
                bail!("the worker of {} did not answer {request} in time", self.name)
            }
        }
    }

    fn send(&mut self, request: &Value) -> Result<()> {
        writeln!(self.requests, "{request}")
            .and_then(|()| self.requests.flush())
            .with_context(|| format!("talking to the worker of {}", self.name))
    }

    fn read(&self, line: &str) -> Result<Answer> {
        let answer: Answer = serde_json::from_str(line)
            .with_context(|| format!("the worker of {} answered {line}", self.name))?;
        match answer.error {
            Some(error) => bail!("the worker of {}: {error}", self.name),
            None => Ok(answer),
        }
    }

    fn ended<T>(&self) -> Result<T> {
        bail!("the worker of {} ended; see its messages", self.name)
    }

    /// Versions of what it times.
    pub(crate) fn versions(&mut self) -> Result<String> {
        let versions = self.ask(&json!({ "versions": true }))?.versions;
        let version =
            |(name, v): (&String, &Value)| format!("{name} {}", v.as_str().unwrap_or("unknown"));
        Ok(versions.iter().map(version).collect::<Vec<_>>().join(", "))
    }

    /// Opens a case.
    pub(crate) fn open(&mut self, case: &Value) -> Result<Opened> {
        opened(self.ask(&json!({ "open": case }))?)
    }

    /// Asks it to open a case, without waiting.
    pub(crate) fn begin_to_open(&mut self, case: &Value) -> Result<()> {
        self.send(&json!({ "open": case }))
    }

    /// Whether it has opened the case that it was asked to; nothing while it is at it.
    pub(crate) fn has_opened(&mut self) -> Result<Option<Opened>> {
        match self.answers.try_recv() {
            Ok(line) => opened(self.read(&line)?).map(Some),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => self.ended(),
        }
    }

    /// What a repetition of a case cannot do without, or why that is not known.
    pub(crate) fn work(&mut self, case: &Value) -> Result<std::result::Result<Work, String>> {
        let answer = self.ask(&json!({ "work": case }))?;
        match (answer.lacks, answer.flops.zip(answer.bytes)) {
            (Some(why), _) => Ok(Err(why)),
            (None, Some((flops, bytes))) => Ok(Ok(Work { flops, bytes })),
            (None, None) => bail!("the worker of {} did not say what {case} takes", self.name),
        }
    }

    /// What a device does in a second, by products of matrices of `size` rows and columns.
    pub(crate) fn ceilings(&mut self, device: &str, size: usize) -> Result<Work> {
        let answer = self.ask(&json!({ "ceilings": device, "size": size }))?;
        let rates = answer.flops.zip(answer.bytes).map(|(flops, bytes)| Work { flops, bytes });
        rates.with_context(|| format!("the worker of {} did not measure {device}", self.name))
    }

    /// Seconds of each of `n` repetitions of the open case.
    pub(crate) fn time(&mut self, n: usize) -> Result<Vec<f64>> {
        Ok(self.ask(&json!({ "time": n }))?.seconds)
    }

    /// The most memory that it has had, in bytes, if the system tells.
    pub(crate) fn memory(&mut self) -> Result<Option<f64>> {
        Ok(self.ask(&json!({ "memory": true }))?.bytes)
    }
}

fn opened(answer: Answer) -> Result<Opened> {
    match answer.lacks {
        Some(why) => Ok(Err(why)),
        None if answer.ready => Ok(Ok(answer.note)),
        None => bail!("a worker neither opened a case nor said why not"),
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// A worker that answers each line with what a shell prints.
    fn worker(script: &str) -> Worker {
        Worker::start("test", Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn a_worker_that_hangs_is_given_up() {
        let mut hanging = worker("read line; sleep 60");
        hanging.set_deadline(Instant::now() + Duration::from_millis(50));
        let error = hanging.time(1).unwrap_err().to_string();
        assert!(error.contains("did not answer") && error.contains("in time"), "{error}");
    }

    #[test]
    fn a_worker_that_ends_and_one_that_errs_are_told_apart() {
        let error = worker("read line").time(1).unwrap_err().to_string();
        assert!(error.contains("ended"), "{error}");
        let error = worker("read line; echo '{\"error\": \"no memory\"}'; read line").time(1);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("no memory"), "{error}");
    }

    #[test]
    fn cases_open_while_one_waits() {
        let mut slow =
            worker("read line; read go; echo '{\"ready\": true, \"note\": \"n\"}'; read line");
        slow.begin_to_open(&json!({})).unwrap();
        assert_eq!(slow.has_opened().unwrap(), None);
        slow.send(&json!("go")).unwrap();
        let opened = (0..500).find_map(|_| {
            thread::sleep(Duration::from_millis(10));
            slow.has_opened().unwrap()
        });
        assert_eq!(opened, Some(Ok("n".to_owned())));
    }
}
