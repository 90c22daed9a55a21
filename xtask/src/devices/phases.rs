//! What a run of the program says of its training while it goes on: losses, and when each epoch ended.
//!
//! The program writes a line for each epoch, without a time, so that equal runs leave equal files: whoever wants times
//! watches.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::record::Phase;
use crate::files;

/// The file with the epochs, and the one with the settings, in the folder of a run.
pub(super) const METRICS: &str = "metrics.jsonl";
const CONFIG: &str = "config.toml";

/// When the lines of a file arrived.
#[derive(Debug)]
pub(super) struct Arrivals {
    path: PathBuf,
    start: Instant,
    bytes: u64,
    /// From the start, one for each line.
    seconds: Vec<f64>,
}

impl Arrivals {
    /// Starts the clock; the file may be missing still.
    pub(super) fn begin(path: PathBuf) -> Self {
        Self { path, start: Instant::now(), bytes: 0, seconds: Vec::new() }
    }

    /// Takes note of new lines.
    pub(super) fn look(&mut self) {
        let Ok(bytes) = fs::metadata(&self.path).map(|found| found.len()) else { return };
        if bytes == self.bytes {
            return;
        }
        let Ok(text) = fs::read(&self.path) else { return };
        self.bytes = bytes;
        let lines = text.iter().filter(|byte| **byte == b'\n').count();
        self.seconds.resize(lines.max(self.seconds.len()), self.start.elapsed().as_secs_f64());
    }
}

/// An epoch, as the program writes it.
#[derive(Debug, Deserialize)]
struct Epoch {
    phase: String,
    #[serde(default)]
    attempt: usize,
    train_loss: f64,
}

/// The settings that say how many updates an epoch has.
#[derive(Debug, Deserialize)]
struct Config {
    data: Data,
    train: Train,
}

#[derive(Debug, Deserialize)]
struct Data {
    rows: Option<usize>,
    scenes: Option<Scenes>,
}

#[derive(Debug, Deserialize)]
struct Scenes {
    rows: usize,
}

#[derive(Debug, Deserialize)]
struct Train {
    validation_fraction: f64,
    phases: Vec<Batches>,
}

#[derive(Debug, Deserialize)]
struct Batches {
    name: String,
    batch_size: usize,
}

impl Config {
    /// Updates in an epoch of a phase.
    fn updates(&self, phase: &str) -> Result<usize> {
        let rows = self.data.rows.or(self.data.scenes.as_ref().map(|scenes| scenes.rows));
        let rows = rows.context("expected data.rows or data.scenes.rows, found neither")?;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a part of the rows, as the trainer rounds it"
        )]
        let held_out = (rows as f64 * self.train.validation_fraction).round() as usize;
        let training = rows.saturating_sub(held_out.max(1));
        let known = || self.train.phases.iter().map(|phase| &*phase.name).collect::<Vec<_>>();
        let found = self.train.phases.iter().find(|found| found.name == phase);
        let found = found.with_context(|| {
            format!("expected phases {}, found epochs of '{phase}'", known().join(", "))
        })?;
        ensure!(found.batch_size > 0, "{phase}: expected a batch_size above 0, found 0");
        Ok(training.div_ceil(found.batch_size))
    }
}

/// The phases of the run in `folder` as far as they went; none if no epoch ended.
pub(super) fn read(folder: &Path, epochs: &Arrivals) -> Result<Vec<Phase>> {
    if epochs.seconds.is_empty() {
        return Ok(Vec::new());
    }
    let (metrics, config) = (folder.join(METRICS), folder.join(CONFIG));
    let text = files::read(&metrics)?;
    let config: Config = toml::from_str(&files::read(&config)?)
        .with_context(|| format!("in {}", config.display()))?;
    parse(&text, &epochs.seconds, &config).with_context(|| format!("in {}", metrics.display()))
}

/// One for each attempt at each phase; `ends` has the end of each epoch in seconds.
fn parse(text: &str, ends: &[f64], config: &Config) -> Result<Vec<Phase>> {
    let mut phases: Vec<Phase> = Vec::new();
    let (mut began, mut last) = (0.0, 0.0);
    for (number, (line, end)) in (1..).zip(text.lines().zip(ends)) {
        let epoch: Epoch = serde_json::from_str(line)
            .with_context(|| format!("line {number}: expected the metrics of an epoch"))?;
        let Epoch { phase: name, attempt, train_loss } = epoch;
        match phases.last_mut().filter(|phase| phase.name == name && phase.attempt == attempt) {
            Some(phase) => {
                // Without the first epoch, in which kernels are loaded and memory is taken.
                if phase.epochs == 1 {
                    began = last;
                }
                phase.epochs += 1;
                phase.last_loss = train_loss;
                #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
                let updates = (phase.updates_per_epoch * (phase.epochs - 1)) as f64;
                phase.seconds_per_update = (end - began) / updates;
            }
            None => {
                let updates_per_epoch = config.updates(&name)?;
                #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
                let seconds_per_update = (end - last) / updates_per_epoch as f64;
                phases.push(Phase {
                    name,
                    attempt,
                    epochs: 1,
                    updates_per_epoch,
                    seconds_per_update,
                    first_loss: train_loss,
                    last_loss: train_loss,
                });
            }
        }
        last = *end;
    }
    Ok(phases)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        name = "n"
        [data.scenes]
        rows = 101
        [train]
        validation_fraction = 0.1
        [[train.phases]]
        name = "manifold"
        batch_size = 10
        [[train.phases]]
        name = "density"
        batch_size = 45
    "#;

    const LINES: &str = r#"{"phase":"manifold","epoch":1,"train_loss":8.0,"validation_loss":1}
{"phase":"manifold","epoch":2,"train_loss":4.0,"validation_loss":1}
{"phase":"manifold","epoch":3,"train_loss":2.5,"validation_loss":1}
{"phase":"density","epoch":1,"train_loss":-1.0,"validation_loss":1}
{"phase":"dens"#;

    #[test]
    fn the_first_epoch_of_several_is_not_timed() {
        let config: Config = toml::from_str(CONFIG).unwrap();
        let phases = parse(LINES, &[50.0, 52.0, 55.0, 61.0], &config).unwrap();
        let [manifold, density] = &phases[..] else { panic!("{phases:?}") };
        // 101 rows without 10 are 91: 10 batches of 10, and 3 of 45.
        assert_eq!((manifold.updates_per_epoch, density.updates_per_epoch), (10, 3));
        assert_eq!((manifold.epochs, density.epochs), (3, 1));
        assert_eq!((manifold.first_loss, manifold.last_loss), (8.0, 2.5));
        assert_eq!((manifold.seconds_per_update, density.seconds_per_update), (0.25, 2.0));
        let later = LINES.replacen("epoch\":3", "attempt\":1,\"epoch\":1", 1);
        let phases = parse(&later, &[50.0, 52.0, 55.0], &config).unwrap();
        assert_eq!(phases.iter().map(|p| p.attempt).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let config: Config = toml::from_str(CONFIG).unwrap();
        let error = format!("{:#}", parse("{}\n", &[1.0], &config).unwrap_err());
        assert!(error.contains("line 1: expected the metrics of an epoch"), "{error}");
        let other = LINES.replace("manifold", "joint");
        let error = parse(&other, &[1.0], &config).unwrap_err().to_string();
        assert!(error.contains("expected phases manifold, density"), "{error}");
        let config: Config = toml::from_str(&CONFIG.replace("scenes", "file")).unwrap();
        let error = config.updates("density").unwrap_err().to_string();
        assert!(error.contains("expected data.rows or data.scenes.rows"), "{error}");
    }

    #[test]
    fn lines_are_timed_when_they_are_whole() {
        let path = std::env::temp_dir().join(format!("mflow-lines-{}", std::process::id()));
        let mut epochs = Arrivals::begin(path.clone());
        epochs.look();
        assert!(epochs.seconds.is_empty());
        for (text, count) in [("a", 0), ("a\nb", 1), ("a\nb\nc\n", 3)] {
            fs::write(&path, text).unwrap();
            epochs.look();
            assert_eq!(epochs.seconds.len(), count, "{text:?}");
        }
        assert!(epochs.seconds.is_sorted(), "{epochs:?}");
        fs::remove_file(&path).unwrap();
    }
}
