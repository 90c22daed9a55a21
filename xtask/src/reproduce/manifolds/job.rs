//! One run of a method: its settings, its files, and how it is done.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

use super::peers;
use super::record::Found;
use super::study::{Case, Preset, Variant};
use crate::files;
use crate::reproduce::job::fnv1a;
use crate::reproduce::runner::complaint;

/// The method that the study is about.
pub(super) const MFLOW: &str = "mflow";
/// The case that the example draws, as it is no simulator.
const PLANE: &str = "plane";
/// Added to the seed of the training rows for that of the test rows.
const TEST_SEED: u64 = 1000;
/// The same for the rows that samples are compared with.
const OTHER_SEED: u64 = 2000;

/// The programs that runs need.
#[derive(Debug)]
pub(super) struct Programs {
    /// `mflow`.
    pub(super) mflow: PathBuf,
    /// The example `manifolds`.
    pub(super) example: PathBuf,
    /// Python with what the peers need.
    pub(super) python: Option<PathBuf>,
    /// Threads of a program; none leaves it all cores.
    pub(super) threads: Option<usize>,
}

impl Programs {
    /// A command of ours, on its share of the cores.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some(threads) = self.threads {
            command.env("RAYON_NUM_THREADS", threads.to_string());
        }
        command
    }
}

/// A method on the data of a case with noise and a seed.
#[derive(Debug)]
pub(super) struct Job<'a> {
    /// The preset's name.
    pub(super) preset: &'a str,
    /// Its sizes.
    pub(super) size: &'a Preset,
    /// The data.
    pub(super) case: &'a Case,
    /// Noise, in units of the spread.
    pub(super) noise: f64,
    /// Seed of training rows and method.
    pub(super) seed: u64,
    /// What is run on them.
    pub(super) method: Method<'a>,
}

/// What is run on data.
#[derive(Clone, Copy, Debug)]
pub(super) enum Method<'a> {
    /// `mflow fit` with its default settings.
    Mflow,
    /// The same with others.
    Variant(&'a Variant),
    /// A method of scikit-learn, by its name.
    Peer(&'a str),
}

impl<'a> Method<'a> {
    /// Its name, in files.
    pub(super) fn name(self) -> &'a str {
        match self {
            Self::Mflow => MFLOW,
            Self::Variant(variant) => &variant.name,
            Self::Peer(name) => name,
        }
    }
}

impl Job<'_> {
    /// Hash of the settings: what makes a record stale when it differs.
    pub(super) fn hash(&self) -> String {
        let how = match self.method {
            Method::Mflow | Method::Variant(_) => {
                format!("{:?} {:?}", self.fit_words(), self.data_words("others"))
            }
            Method::Peer(peer) => format!("{peer} {}", self.case.dim),
        };
        fnv1a(&format!("{:?} {:?} {how}", self.data_words("train"), self.data_words("test")))
    }

    /// The folder of its data, and of the fit.
    pub(super) fn folder(&self) -> PathBuf {
        let Self { preset, case, noise, seed, method, .. } = self;
        let name = format!("{}-noise-{noise}-seed-{seed}-{}", case.name, method.name());
        Path::new("target/reproduce/manifolds").join(preset).join(name)
    }

    /// What `mflow data`, or the example, is told to draw the rows of a part: train, test, clean or others.
    fn data_words(&self, part: &str) -> Vec<String> {
        let (rows, seed) = match part {
            "train" => (self.case.rows.unwrap_or(self.size.rows), self.seed),
            "others" => (self.size.samples, self.seed + OTHER_SEED),
            _ => (self.size.test_rows, self.seed + TEST_SEED),
        };
        let noise = if part == "clean" { 0.0 } else { self.noise };
        let mut words = match &*self.case.name {
            PLANE => vec![PLANE.to_owned()],
            name => vec!["data".to_owned(), name.to_owned()],
        };
        words.extend(["-n", &rows.to_string(), "--seed", &seed.to_string()].map(str::to_owned));
        words.extend(self.case.at.map(|at| format!("--at={at}")));
        if noise > 0.0 {
            words.extend(["--noise".to_owned(), noise.to_string()]);
        }
        words
    }

    /// What `mflow fit` is told beside its files.
    fn fit_words(&self) -> Vec<String> {
        let own = match self.method {
            Method::Variant(variant) => &*variant.fit,
            Method::Mflow | Method::Peer(_) => &[],
        };
        let mut words = vec!["--manifold-dim".to_owned(), self.case.dim.to_string()];
        // An option may be given once. A variant knows best.
        if let Some(epochs) = self.case.epochs.filter(|_| !own.contains(&"--epochs".to_owned())) {
            words.extend(["--epochs".to_owned(), epochs.to_string()]);
        }
        words.extend(["--seed".to_owned(), self.seed.to_string()]);
        words.extend(own.iter().cloned());
        words
    }

    /// Does the run.
    ///
    /// # Errors
    /// If a program fails; its complaint is the error.
    pub(super) fn run(&self, programs: &Programs) -> Result<Found> {
        let folder = self.folder();
        let log = folder.join(format!("{}.log", self.method.name()));
        files::write(&log, b"")?;
        let mut parts = vec!["train", "test", "others"];
        parts.extend((self.noise > 0.0).then_some("clean"));
        for part in parts {
            let drawn_by =
                if self.case.name == PLANE { &programs.example } else { &programs.mflow };
            let mut data = programs.command(drawn_by);
            data.args(self.data_words(part)).arg("--out").arg(folder.join(part));
            call(&mut data, &log)?;
        }
        match self.method {
            Method::Mflow | Method::Variant(_) => self.fit(programs, &folder, &log),
            Method::Peer(peer) => {
                let python = programs.python.as_deref().context("a peer needs Python")?;
                let mut command = peers::command(python, peer, &folder, self.case.dim, self.seed);
                let printed = call(&mut command, &log)?;
                serde_json::from_str(&printed).with_context(|| format!("{peer} printed {printed}"))
            }
        }
    }

    fn fit(&self, programs: &Programs, folder: &Path, log: &Path) -> Result<Found> {
        let mflow = || programs.command(&programs.mflow);
        let run = folder.join("run");
        files::remove_folder(&run)?; // half a fit has half its time
        let start = Instant::now();
        let mut fit = mflow();
        fit.arg("fit").arg(folder.join("train/x.npy")).args(self.fit_words());
        call(fit.arg("--out").arg(&run), log)?;
        let seconds = start.elapsed().as_secs_f64();

        let score = |part: &str, scores: &str| {
            let mut score = mflow();
            score.arg("score").arg(&run).arg(folder.join(part).join("x.npy"));
            call(score.arg("--out").arg(folder.join(scores)), log).map(drop)
        };
        score("test", "scores.npz")?;
        if self.noise > 0.0 {
            score("clean", "clean.npz")?;
        }
        let mut sample = mflow();
        sample.arg("sample").arg(&run).args(["-n", &self.size.samples.to_string()]);
        sample.args(["--seed", &self.seed.to_string()]);
        call(sample.arg("--out").arg(folder.join("samples.npy")), log)?;

        let example = || programs.command(&programs.example);
        let printed = call(example().args(["measure", &self.case.name]).arg(folder), log)?;
        let found: Found = serde_json::from_str(&printed)
            .with_context(|| format!("the example `manifolds` printed {printed}"))?;
        // A picture that cannot be drawn, of samples that are not finite, takes nothing from the numbers.
        let drawn =
            call(example().arg("draw").arg(folder).arg(folder.join("figure.png")), log).err();
        drawn.iter().for_each(|error| println!("{self}: no figure: {error:#}"));
        Ok(Found { seconds: Some(seconds), start: winner(&run)?, ..found })
    }
}

impl fmt::Display for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { preset, case, noise, seed, method, .. } = self;
        let (case, method) = (&case.name, method.name());
        write!(f, "manifolds {preset} {case}, noise {noise}, seed {seed}, {method}")
    }
}

/// A line of `attempts.json`.
#[derive(Deserialize)]
struct Attempt {
    stage: String,
    start: Option<String>,
    failed: bool,
}

/// The start that won the trials of a fit; none if there was no choice.
fn winner(run: &Path) -> Result<Option<String>> {
    let attempts: Vec<Attempt> = files::read_json(&run.join("attempts.json"))?;
    Ok(winner_of(attempts))
}

fn winner_of(attempts: Vec<Attempt>) -> Option<String> {
    let won = |attempt: &Attempt| attempt.stage == "trial" && !attempt.failed;
    attempts.into_iter().find(won).and_then(|attempt| attempt.start)
}

/// Runs a command to its end, its messages in the log, and returns what it printed.
fn call(command: &mut Command, log: &Path) -> Result<String> {
    let file = File::options().create(true).append(true).open(log);
    let file = file.with_context(|| format!("writing {}", log.display()))?;
    let program = command.get_program().to_os_string();
    let output = command.stderr(file).output();
    let output = output.with_context(|| format!("starting {}", program.display()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
        match complaint(&text) {
            Some(complaint) => bail!("{complaint} ({})", output.status),
            None => bail!("{}", output.status),
        }
    }
    String::from_utf8(output.stdout).map_err(|_| anyhow!("{} printed no UTF-8", program.display()))
}

#[cfg(test)]
mod tests {
    use super::super::study::{Study, tests::TEXT};
    use super::*;

    fn with_job<T>(case: &str, noise: f64, see: impl FnOnce(&Job<'_>) -> T) -> T {
        let study = Study::parse(TEXT).unwrap();
        let size = study.preset("full").unwrap();
        let case = study.cases(size).find(|known| known.name == case).unwrap();
        see(&Job { preset: "full", size, case, noise, seed: 2, method: Method::Mflow })
    }

    #[test]
    fn programs_are_told_what_a_user_would_type() {
        let words = |case: &str, noise: f64, part: &str| {
            with_job(case, noise, |job| job.data_words(part).join(" "))
        };
        assert_eq!(words("torus", 0.0, "train"), "data torus -n 1000 --seed 2");
        assert_eq!(words("torus", 0.05, "test"), "data torus -n 200 --seed 1002 --noise 0.05");
        assert_eq!(words("torus", 0.05, "clean"), "data torus -n 200 --seed 1002");
        assert_eq!(words("torus", 0.0, "others"), "data torus -n 300 --seed 2002");
        assert_eq!(words("plane", 0.0, "train"), "plane -n 50 --seed 2");
        let fit = |case: &str| with_job(case, 0.0, |job| job.fit_words().join(" "));
        assert_eq!(fit("torus"), "--manifold-dim 2 --seed 2");
        assert_eq!(fit("plane"), "--manifold-dim 2 --epochs 20 --seed 2");
    }

    #[test]
    fn the_hash_is_of_data_and_method() {
        let hash = |noise: f64, method| {
            with_job("torus", noise, |job| Job { method, ..Job { ..copy(job) } }.hash())
        };
        let mflow = Method::Mflow;
        assert_eq!(hash(0.0, mflow), hash(0.0, mflow));
        assert_ne!(hash(0.0, mflow), hash(0.05, mflow));
        assert_ne!(hash(0.0, mflow), hash(0.0, Method::Peer("pca")));
        let fit = vec!["--start".to_owned(), "flat".to_owned()];
        let flat = Variant { name: "flat".to_owned(), title: "flat start".to_owned(), fit };
        assert_ne!(hash(0.0, mflow), hash(0.0, Method::Variant(&flat)));
        with_job("torus", 0.0, |job| {
            let job = Job { method: Method::Variant(&flat), ..copy(job) };
            assert_eq!(job.fit_words().join(" "), "--manifold-dim 2 --seed 2 --start flat");
            assert!(job.folder().ends_with("torus-noise-0-seed-2-flat"), "{:?}", job.folder());
        });
        let fit = ["--epochs", "7"].map(str::to_owned).to_vec();
        let short = Variant { name: "short".to_owned(), title: "short".to_owned(), fit };
        with_job("plane", 0.0, |job| {
            let job = Job { method: Method::Variant(&short), ..copy(job) };
            assert_eq!(job.fit_words().join(" "), "--manifold-dim 2 --seed 2 --epochs 7", "once");
        });
    }

    fn copy<'a>(job: &Job<'a>) -> Job<'a> {
        let Job { preset, size, case, noise, seed, method } = *job;
        Job { preset, size, case, noise, seed, method }
    }

    #[test]
    fn the_trial_that_did_not_fail_won() {
        let attempts = |text: &str| winner_of(serde_json::from_str(text).unwrap());
        let text = r#"[{"stage": "trial", "start": "m-flow, flat start", "failed": true, "error": 1},
            {"stage": "trial", "start": "free-form, unrolled start", "failed": false, "error": 0},
            {"stage": "manifold", "failed": false}]"#;
        assert_eq!(attempts(text).as_deref(), Some("free-form, unrolled start"));
        assert_eq!(attempts(r#"[{"stage": "manifold", "failed": false}]"#), None);
    }
}
