//! `cargo xtask bench --check`: instructions of the hot kernels, against those on record.
//!
//! Valgrind counts the same whatever else the machine does, so that a kernel that has become slower is seen
//! in CI, where seconds tell nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::shell::{self, Lock};
use crate::table::Table;
use crate::{built, files, number};

const RECORD: &str = "xtask/instructions.toml";

/// What a count may differ by.
const TOLERANCE: f64 = 0.05;

/// Repetitions of the two runs whose difference is counted.
const TIMES: [u32; 2] = [1, 2];

/// `instructions.toml`.
#[derive(Debug, Deserialize, Serialize)]
struct Record {
    /// What counted, and what compiled.
    valgrind: String,
    rustc: String,
    /// Instructions of one repetition.
    instructions: BTreeMap<String, u64>,
}

/// Why nothing can be counted here, if so.
pub(crate) fn obstacle() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let wide = std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    let wide = false;
    if !wide {
        return Some("the record is for x86-64 with AVX2 and FMA, which this processor lacks");
    }
    let found = shell::read(Command::new("valgrind").arg("--version")).is_ok();
    (!found).then_some("valgrind is not installed (Debian, Ubuntu: apt-get install valgrind)")
}

/// Counts and compares; with `save` the counts become the record.
pub(crate) fn run(save: bool, lock: Lock) -> Result<()> {
    if let Some(why) = obstacle() {
        anyhow::bail!("instructions were not counted: {why}");
    }
    let now = count(lock)?;
    if save {
        let header = "# Instructions of the hot kernels, in the profile of CI. Written by\n\
                      # `cargo xtask bench --check --save`; `cargo xtask bench --check` compares.\n";
        files::write(Path::new(RECORD), (header.to_owned() + &toml::to_string(&now)?).as_bytes())?;
        println!("saved in {RECORD}");
        return Ok(());
    }
    let record: Record =
        toml::from_str(&files::read(Path::new(RECORD))?).with_context(|| format!("in {RECORD}"))?;
    let (table, slower) = compare(&record, &now);
    println!("\n{}", table.text());
    for (what, then, now) in
        [("valgrind", &record.valgrind, &now.valgrind), ("rustc", &record.rustc, &now.rustc)]
    {
        if then != now {
            println!("the record was made with another {what}: {then}, here {now}");
        }
    }
    ensure!(
        slower.is_empty(),
        "more instructions than on record: {}. If that is what you want, record them with \
         `cargo xtask bench --check --save` and say why",
        slower.join(", ")
    );
    Ok(())
}

/// One repetition of each kernel.
fn count(lock: Lock) -> Result<Record> {
    let program = built::programs(lock)?.join("kernels");
    let mut instructions = BTreeMap::new();
    for kernel in shell::read(&mut Command::new(&program))?.lines() {
        let [first, second] = TIMES.map(|times| collected(&program, kernel, times));
        let one = second?.saturating_sub(first?) / u64::from(TIMES[1] - TIMES[0]);
        println!("{kernel}: {one}");
        instructions.insert(kernel.to_owned(), one);
    }
    let version = |command: &str| {
        Ok::<_, anyhow::Error>(
            shell::read(Command::new(command).arg("--version"))?.trim().to_owned(),
        )
    };
    Ok(Record { valgrind: version("valgrind")?, rustc: version("rustc")?, instructions })
}

/// All instructions of a run of so many repetitions.
fn collected(program: &PathBuf, kernel: &str, times: u32) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    valgrind.args([kernel, &times.to_string()]);
    valgrind.env("RAYON_NUM_THREADS", "1").env("CANDLE_NUM_THREADS", "1");
    let output = valgrind.output().context("starting valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{}` failed: {said}", shell::line(&valgrind));
    parse(&said).with_context(|| format!("no count in what valgrind said: {said}"))
}

/// The number in the line `Collected : 123`.
fn parse(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}

/// A table of both, and the names of what has become slower; a kernel that only one side knows counts.
fn compare(record: &Record, now: &Record) -> (Table, Vec<String>) {
    let mut table = Table::new(["kernel", "on record", "now", "change"]);
    let mut slower = Vec::new();
    let names: std::collections::BTreeSet<&String> =
        record.instructions.keys().chain(now.instructions.keys()).collect();
    for name in names {
        let both = [record, now].map(|of| of.instructions.get(name).copied());
        let text = both.map(|count| count.map_or("-".to_owned(), |count| count.to_string()));
        let verdict = match both {
            [Some(then), Some(now)] => {
                #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
                let change = now as f64 / then as f64 - 1.0;
                if change > TOLERANCE {
                    slower.push(name.clone());
                }
                let hint = if change < -TOLERANCE { ", record the gain" } else { "" };
                format!("{} %{hint}", number::short(change * 100.0))
            }
            _ => {
                slower.push(format!("{name} (not in both)"));
                "not in both".to_owned()
            }
        };
        let [then, now] = text;
        table.push([name.clone(), then, now, verdict]);
    }
    (table, slower)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(counts: &[(&str, u64)]) -> Record {
        let instructions = counts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        Record { valgrind: String::new(), rustc: String::new(), instructions }
    }

    #[test]
    fn what_has_become_slower_is_named() {
        let then = record(&[("a", 1000), ("b", 1000), ("c", 1000), ("gone", 1)]);
        let now = record(&[("a", 1049), ("b", 1051), ("c", 900), ("new", 1)]);
        let (table, slower) = compare(&then, &now);
        assert_eq!(slower, ["b", "gone (not in both)", "new (not in both)"]);
        assert!(table.text().contains("record the gain"), "{}", table.text());
    }

    #[test]
    fn the_count_of_callgrind_is_found() {
        let said = "==7== Events    : Ir\n==7== Collected : 123456\n==7== \n";
        assert_eq!((parse(said), parse("==7== nothing")), (Some(123_456), None));
    }
}
