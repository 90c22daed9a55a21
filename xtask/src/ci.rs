//! `cargo xtask ci`: every check, cheapest first.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;

use crate::shell::{self, Lock::Locked};
use crate::table::Table;
use crate::{
    bench, browser, built, devices, divisions, docs, metadata, number, smoke, soak, test, tidy,
    wheel,
};

/// Options of `cargo xtask ci`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Go on after a step that fails
    #[arg(long)]
    keep_going: bool,
}

type Step = (&'static str, fn() -> Result<()>);

/// Steps that are left out, loudly, where they cannot be made.
const PYTHON: &str = "python";
const INSTRUCTIONS: &str = "instructions";
const SOAK: &str = "soak";
const BROWSER: &str = "browser";

/// Why a step cannot be made here.
fn obstacle(step: &str) -> Option<&'static str> {
    match step {
        PYTHON => wheel::obstacle(),
        INSTRUCTIONS => bench::check::obstacle(),
        SOAK => soak::obstacle(),
        BROWSER => browser::obstacle(),
        _ => None,
    }
}

const STEPS: [Step; 14] = [
    ("fmt", || shell::run(shell::cargo("fmt", shell::Lock::Free).args(["--all", "--check"]))),
    ("tidy", tidy::run),
    ("clippy", || {
        let clippy = "clippy --workspace --all-targets";
        shell::run(shell::cargo(clippy, Locked).args(["--", "-D", "warnings"]))
    }),
    ("divisions", || divisions::run(Locked)),
    ("test", || test::run(Locked)),
    (PYTHON, wheel::check),
    ("docs", || docs::run().map(drop)),
    ("examples", examples),
    ("benches", benches),
    (INSTRUCTIONS, || bench::check::run(false, Locked)),
    ("smoke", smoke::run),
    (SOAK, soak::toy),
    (BROWSER, || browser::run(Locked)),
    ("device", devices::dry::run),
];

/// Runs the steps and prints how long each took.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut table = Table::new(["step", "seconds", "ok"]);
    let mut failed = Vec::new();
    for (name, step) in STEPS {
        println!("\n=== {name} ===");
        let start = Instant::now();
        let obstacle = obstacle(name);
        let result = match &obstacle {
            None => step(),
            Some(why) => {
                println!("\n!!! {} IS NOT CHECKED: {why}\n", name.to_uppercase());
                Ok(())
            }
        };
        let took = number::seconds(start.elapsed().as_secs_f64());
        let verdict = match &result {
            Ok(()) if obstacle.is_some() => "NOT CHECKED",
            Ok(()) => "yes",
            Err(_) => "NO",
        };
        table.push([name, &took, verdict]);
        match result {
            Ok(()) => println!("=== {name}: ok after {took} s ==="),
            Err(error) => {
                println!("=== {name}: FAILED after {took} s: {error:#} ===");
                failed.push(name);
                if !options.keep_going {
                    break;
                }
            }
        }
    }
    println!("\n{}", table.text());
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// Runs every example of the workspace, small.
fn examples() -> Result<()> {
    let folder = built::programs(Locked)?.join("examples");
    for package in metadata::load(Locked)?.packages {
        // What needs a feature needs a library that may not be installed.
        let is_plain = |target: &&metadata::Target| {
            target.kind == ["example"] && target.required_features.is_empty()
        };
        for target in package.targets.iter().filter(is_plain) {
            shell::run(Command::new(folder.join(&target.name)).env("MFLOW_TOY", "1"))?;
        }
    }
    Ok(())
}

/// Runs every bench once. All are named, as a choice of packages would be compiled anew.
fn benches() -> Result<()> {
    let mut bench = shell::cargo("bench --profile ci --workspace", Locked);
    for package in metadata::load(Locked)?.packages {
        for target in package.targets.iter().filter(|target| target.kind == ["bench"]) {
            bench.args(["--bench", &target.name]);
        }
    }
    shell::run(bench.args(["--", "--test"]))
}
