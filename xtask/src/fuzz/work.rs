//! libFuzzer at work. It is linked without cargo-fuzz: the flags by which rustc counts edges are stable ones, and with the profile
//! `ci` overflows are checked in our code alone, as in all tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{FOLDER, corpus};
use crate::shell::{self, Lock};
use crate::{files, metadata};

/// The programs of the targets.
const SOURCES: &str = "fuzz/fuzz_targets";
/// Words that inputs are made of.
const WORDS: &str = "fuzz/words.dict";
/// Counters at edges, their addresses, and the operands of comparisons: what cargo-fuzz asks for as well.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";
/// Memory of a process, in MiB, and of a single allocation.
pub(super) const MEMORY: u64 = 2048;
pub(super) const ALLOCATION: u64 = 1024;
/// Seconds that one input may take.
pub(super) const TIMEOUT: u64 = 20;
/// Bytes of an input.
pub(super) const LENGTH: u64 = 1 << 16;
/// Findings after which a target is given up.
const MOST_FINDINGS: usize = 10;

/// The names of all targets.
pub(super) fn targets() -> Result<Vec<String>> {
    let entries = std::fs::read_dir(SOURCES).with_context(|| format!("reading {SOURCES}"))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("reading {SOURCES}"))?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// What came of a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Found {
    pub(super) seconds: f64,
    pub(super) executions: u64,
    pub(super) edges: u64,
    pub(super) features: u64,
    pub(super) memory: u64,
    pub(super) findings: Vec<PathBuf>,
}

/// The targets, linked with libFuzzer.
#[derive(Debug)]
pub(super) struct Programs(PathBuf);

impl Programs {
    /// Builds those of these targets.
    pub(super) fn built(names: &[&String]) -> Result<Self> {
        let host = shell::read(Command::new("rustc").arg("-vV"))?;
        let host = host.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.context("rustc says of no host")?;
        // With a target that is named, build scripts and macros are spared the flags.
        let build = "build --profile ci -p mflow-fuzz --features libfuzzer";
        let mut build = shell::cargo(build, Lock::Free);
        build.args(names.iter().flat_map(|name| ["--bin", name.as_str()]));
        shell::run(build.args(["--target", host]).env("RUSTFLAGS", FLAGS))?;
        let target = metadata::load(Lock::Free)?.target_directory;
        Ok(Self(target.join(host).join("ci")))
    }

    fn program(&self, name: &str) -> Command {
        let mut program = Command::new(self.0.join(name));
        program.args([
            format!("-rss_limit_mb={MEMORY}"),
            format!("-malloc_limit_mb={ALLOCATION}"),
            format!("-timeout={TIMEOUT}"),
            // Less is no finding: the machine may have had other work.
            format!("-report_slow_units={TIMEOUT}"),
            format!("-max_len={LENGTH}"),
            format!("-dict={WORDS}"),
            "-print_final_stats=1".to_owned(),
        ]);
        // One thread: a target is busy with small things.
        program.env("RAYON_NUM_THREADS", "1").env("CANDLE_NUM_THREADS", "1");
        program
    }

    /// Fuzzes a target from its corpus on. After a finding it goes on with the rest of the time.
    pub(super) fn fuzz(&self, name: &str, time: Duration) -> Result<Found> {
        let folder = Path::new(FOLDER).join(name);
        files::remove_folder(&folder)?;
        let (work, findings) = (folder.join("corpus"), folder.join("findings"));
        for folder in [&work, &findings] {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("making {}", folder.display()))?;
        }
        let (start, mut all) = (Instant::now(), Found::default());
        for session in 0..=MOST_FINDINGS {
            let left = time.saturating_sub(start.elapsed()).as_secs();
            if left == 0 {
                break;
            }
            let mut program = self.program(name);
            program.arg(format!("-max_total_time={left}"));
            program.arg(format!("-artifact_prefix={}/", findings.display()));
            let output = program.args([&work, &corpus::folder(name)]).output();
            let output = output.with_context(|| format!("starting the target {name}"))?;
            let log = String::from_utf8_lossy(&output.stderr);
            files::write(&folder.join(format!("{session}.log")), log.as_bytes())?;
            all = all.and(&said(&log));
            if output.status.success() {
                break;
            }
            ensure!(
                !corpus::files(&findings)?.is_empty(),
                "{name} ended with {}: {log}",
                output.status
            );
        }
        all.seconds = start.elapsed().as_secs_f64();
        all.findings = corpus::files(&findings)?;
        Ok(all)
    }

    /// Makes the corpus of a target that is committed the smallest that reaches what it and the session's have reached, as far
    /// as that is small; how many files it has then.
    pub(super) fn keep(&self, name: &str) -> Result<usize> {
        let folder = Path::new(FOLDER).join(name);
        let merged = folder.join("merged");
        files::remove_folder(&merged)?;
        std::fs::create_dir_all(&merged).with_context(|| format!("making {}", merged.display()))?;
        let mut merge = self.program(name);
        merge.arg("-merge=1").arg(&merged).arg(corpus::folder(name)).arg(folder.join("corpus"));
        shell::read(&mut merge)?;
        corpus::keep(name, &merged)
    }
}

impl Found {
    /// Of two sessions, one after the other.
    fn and(self, next: &Self) -> Self {
        Self {
            executions: self.executions + next.executions,
            edges: self.edges.max(next.edges),
            features: self.features.max(next.features),
            memory: self.memory.max(next.memory),
            ..self
        }
    }
}

/// What libFuzzer said.
fn said(log: &str) -> Found {
    let number = |text: &str| {
        let word = text.split_whitespace().next()?;
        word.trim_end_matches("Mb").parse().ok()
    };
    let last = |key: &str| log.rsplit_once(key).and_then(|(_, rest)| number(rest)).unwrap_or(0);
    // The statistics at the end are not there after a finding: then it is the last line about its progress.
    let tried = log.lines().filter_map(|line| line.strip_prefix('#')).filter_map(number).max();
    Found {
        executions: last("stat::number_of_executed_units:").max(tried.unwrap_or(0)),
        edges: last(" cov: "),
        features: last(" ft: "),
        memory: last("stat::peak_rss_mb:").max(last(" rss: ")),
        ..Found::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 40Mb\n\
        #128\tNEW    cov: 97 ft: 153 corp: 4/60b lim: 4 exec/s: 64 rss: 41Mb L: 3/3 MS: 1 CopyPart-\n";

    #[test]
    fn numbers_are_taken_from_the_statistics() {
        let end = "Done 4096 runs in 2 second(s)\nstat::number_of_executed_units: 4096\nstat::peak_rss_mb:              77\n";
        let found = said(&format!("{LOG}{end}"));
        let expected =
            Found { executions: 4096, edges: 97, features: 153, memory: 77, ..Found::default() };
        assert_eq!(found, expected);
    }

    #[test]
    fn after_a_finding_they_are_those_of_the_last_line() {
        let found = said(&format!("{LOG}==1== ERROR: libFuzzer: deadly signal\n"));
        assert_eq!(
            (found.executions, found.edges, found.features, found.memory),
            (128, 97, 153, 41)
        );
        assert_eq!(said(""), Found::default(), "nothing was said");
    }

    #[test]
    fn sessions_are_added() {
        let of = |executions, edges| Found { executions, edges, ..Found::default() };
        assert_eq!(of(3, 7).and(&of(4, 5)), of(7, 7));
    }

    #[test]
    fn each_target_has_a_program() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let manifest = files::read(&root.join("fuzz/Cargo.toml")).unwrap();
        let sources = std::fs::read_dir(root.join(SOURCES)).unwrap().count();
        assert_eq!(manifest.matches("[[bin]]").count(), sources, "programs and their sources");
    }
}
