//! `cargo xtask ci`: every check, cheapest first.

use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Args;

use crate::shell::{self, Lock::Locked};
use crate::table::Table;
use crate::{bench, devices, divisions, metadata, number, smoke, test, tidy};

/// Options of `cargo xtask ci`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Go on after a step that fails
    #[arg(long)]
    keep_going: bool,
}

type Step = (&'static str, fn() -> Result<()>);

/// The step that is left out, loudly, where it cannot be made.
const INSTRUCTIONS: &str = "instructions";

const STEPS: [Step; 11] = [
    ("fmt", || shell::run(shell::cargo("fmt", shell::Lock::Free).args(["--all", "--check"]))),
    ("tidy", tidy::run),
    ("clippy", || {
        let clippy = "clippy --workspace --all-targets";
        shell::run(shell::cargo(clippy, Locked).args(["--", "-D", "warnings"]))
    }),
    ("divisions", || divisions::run(Locked)),
    ("test", || test::run(Locked)),
    ("docs", || {
        let docs = "doc --workspace --no-deps";
        shell::run(shell::cargo(docs, Locked).env("RUSTDOCFLAGS", "-D warnings"))
    }),
    ("examples", examples),
    ("benches", || {
        let benches = "bench --profile ci -p mflow-benches";
        shell::run(shell::cargo(benches, Locked).args(["--", "--test"]))
    }),
    (INSTRUCTIONS, || match bench::check::obstacle() {
        None => bench::check::run(false, Locked),
        Some(why) => {
            println!("\n!!! INSTRUCTIONS ARE NOT CHECKED: {why}\n");
            Ok(())
        }
    }),
    ("smoke", smoke::run),
    ("device", devices::dry::run),
];

/// Runs the steps and prints how long each took.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut table = Table::new(["step", "seconds", "ok"]);
    let mut failed = Vec::new();
    for (name, step) in STEPS {
        println!("\n=== {name} ===");
        let start = Instant::now();
        let result = step();
        let took = number::seconds(start.elapsed().as_secs_f64());
        let verdict = match &result {
            Ok(()) if name == INSTRUCTIONS && bench::check::obstacle().is_some() => "NOT CHECKED",
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
    for package in metadata::load(Locked)?.packages {
        // What needs a feature needs a library that may not be installed.
        let is_plain = |target: &&metadata::Target| {
            target.kind == ["example"] && target.required_features.is_empty()
        };
        for target in package.targets.iter().filter(is_plain) {
            let mut example = shell::cargo("run --profile ci", Locked);
            example.args(["-p", &package.name, "--example", &target.name]).env("MFLOW_TOY", "1");
            shell::run(&mut example)?;
        }
    }
    Ok(())
}
