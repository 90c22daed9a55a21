//! A process that times one library: a JSON object per line in, one per line out.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::shell;

/// A worker that waits for requests; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Worker {
    name: String,
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
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
    bytes: Option<f64>,
    error: Option<String>,
}

impl Worker {
    pub(super) fn start(name: &str, command: &mut Command) -> Result<Self> {
        let line = shell::line(command);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.with_context(|| format!("starting `{line}`"))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (requests, answers) = pipes.context("a worker without pipes")?;
        Ok(Self { name: name.to_owned(), child, requests, answers: BufReader::new(answers) })
    }

    fn ask(&mut self, request: &Value) -> Result<Answer> {
        let mut line = String::new();
        writeln!(self.requests, "{request}")
            .and_then(|()| self.requests.flush())
            .and_then(|()| self.answers.read_line(&mut line))
            .with_context(|| format!("talking to the worker of {}", self.name))?;
        if line.is_empty() {
            bail!("the worker of {} ended at {request}; its messages are above", self.name);
        }
        let answer: Answer = serde_json::from_str(&line)
            .with_context(|| format!("the worker of {} answered {line}", self.name))?;
        match answer.error {
            Some(error) => bail!("the worker of {} answered {request}: {error}", self.name),
            None => Ok(answer),
        }
    }

    /// Versions of what it times.
    pub(super) fn versions(&mut self) -> Result<String> {
        let versions = self.ask(&json!({ "versions": true }))?.versions;
        let version =
            |(name, v): (&String, &Value)| format!("{name} {}", v.as_str().unwrap_or("unknown"));
        Ok(versions.iter().map(version).collect::<Vec<_>>().join(", "))
    }

    /// Opens a case: a note on how it is done, or why it cannot be.
    pub(super) fn open(&mut self, case: &Value) -> Result<Result<String, String>> {
        let answer = self.ask(&json!({ "open": case }))?;
        Ok(match answer.lacks {
            Some(why) => Err(why),
            None if answer.ready => Ok(answer.note),
            None => bail!("the worker of {} neither opened {case} nor said why not", self.name),
        })
    }

    /// Seconds of each of `n` repetitions of the open case.
    pub(super) fn time(&mut self, n: usize) -> Result<Vec<f64>> {
        Ok(self.ask(&json!({ "time": n }))?.seconds)
    }

    /// The most memory that it has had, in bytes, if the system tells.
    pub(super) fn memory(&mut self) -> Result<Option<f64>> {
        Ok(self.ask(&json!({ "memory": true }))?.bytes)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
