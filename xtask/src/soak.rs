//! `cargo xtask soak`: runs that are killed, lose their power, or whose disk fails end with the bits of those that nobody
//! disturbs: docs/results/soak.md.

mod cases;
mod compare;
mod disk;
mod kills;
mod page;
mod program;
mod random;
mod script;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::provenance::Provenance;
use crate::shell::Lock;
use crate::{built, reproduce};
use cases::{Case, Cases};
use program::Program;
use script::{CHECKS, Scene};

/// Where everything happens.
const FOLDER: &str = "target/soak";
const PAGE: &str = "docs/results/soak.md";
/// The command of the scripted checks.
const SCRIPTED: &str = "fit";
/// Disturbances of `--toy`.
const TOY_KILLS: usize = 10;
/// `--toy` has disks that fail at one of so many calls.
const TOY_STRIDE: usize = 11;

/// Options of `cargo xtask soak`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Kills, signals and losses of power, of all cases together [default: 200, with --toy 10]
    #[arg(long)]
    kills: Option<usize>,
    /// Seed of their kinds and moments
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// One case, command or check alone, by its name
    #[arg(long)]
    only: Option<String>,
    /// A little of everything
    #[arg(long)]
    toy: bool,
    /// Write docs/results/soak.md
    #[arg(long)]
    save: bool,
}

/// What is missing for a soak here, if anything is.
pub(crate) fn obstacle() -> Option<&'static str> {
    let has_compiler = Command::new("cc").arg("--version").output().is_ok();
    match (cfg!(target_os = "linux"), has_compiler) {
        (false, _) => Some("disks that fail are simulated on Linux only"),
        (true, false) => Some("there is no C compiler `cc` here"),
        (true, true) => None,
    }
}

/// The step of CI: `--toy`, of the program that its other steps use.
pub(crate) fn toy() -> Result<()> {
    let program = built::programs(Lock::Locked)?.join("mflow");
    disturb(&Options { kills: None, seed: 0, only: None, toy: true, save: false }, program)
}

/// Disturbs everything, tells what became of it, and with `--save` writes the page.
pub(crate) fn run(options: &Options) -> Result<()> {
    if let Some(obstacle) = obstacle() {
        bail!(obstacle);
    }
    disturb(options, reproduce::program()?)
}

fn disturb(options: &Options, program: PathBuf) -> Result<()> {
    let provenance = Provenance::here()?;
    let mut cases = Cases::read()?;
    let program = Program::new(program, Path::new(FOLDER), cases.words.clone())?;
    let scripted = cases.commands.iter().find(|case| case.name == SCRIPTED).cloned();
    let scripted = scripted.with_context(|| format!("expected a command {SCRIPTED}"))?;
    let kills = options.kills.unwrap_or(if options.toy { TOY_KILLS } else { 200 });
    let stride = if options.toy { TOY_STRIDE } else { 1 };
    let only = options.only.as_deref();
    if let Some(only) = only {
        let known = cases.cases.iter().chain(&cases.commands).map(|case| case.name.as_str());
        let known: Vec<&str> = known.chain(CHECKS.map(|(name, _)| name)).collect();
        cases::check_name(only, &known)?;
    }
    let shares = shares(&cases, kills, options.toy);
    cases.prepare(&program, options.toy)?;
    cases.choose(options.toy, only);

    let mut soak = Soak { options, failed: vec![] };
    let survived = cases.cases.iter().filter_map(|case| {
        let count = shares.iter().find(|(name, _)| *name == case.name).map_or(0, |(_, n)| *n);
        soak.tell(&case.name, kills::run(&program, case, count, options.seed))
    });
    let survived: Vec<_> = survived.collect();
    let withstood = cases
        .commands
        .iter()
        .filter_map(|case| soak.tell(&case.name, disk::run(&program, case, stride)));
    let withstood: Vec<_> = withstood.collect();
    let checked = checked(&mut soak, &program, &scripted, stride)?;
    let tables = (page::survived(&survived), page::withstood(&withstood));
    println!("\n{}\n{}", tables.0.text(), tables.1.text());
    for failure in &soak.failed {
        println!("FAILED: {failure}\n");
    }
    ensure!(soak.failed.is_empty(), "{} failed; their folders are in {FOLDER}", soak.failed.len());
    if options.save {
        page::write(Path::new(PAGE), (&survived, &withstood, &checked), &provenance)?;
        println!("saved in {PAGE}");
    }
    Ok(())
}

/// The disturbances of each case: the same alone and among others.
fn shares(cases: &Cases, kills: usize, toy: bool) -> Vec<(String, usize)> {
    let chosen: Vec<&Case> = cases.cases.iter().filter(|case| !toy || case.toy).collect();
    let share = |i: usize| kills / chosen.len() + usize::from(i < kills % chosen.len());
    chosen.iter().enumerate().map(|(i, case)| (case.name.clone(), share(i))).collect()
}

/// The scripted checks that are asked for, and what they found.
fn checked(
    soak: &mut Soak<'_>,
    program: &Program,
    case: &Case,
    stride: usize,
) -> Result<Vec<String>> {
    let only = soak.options.only.as_deref();
    let chosen: Vec<_> =
        CHECKS.into_iter().filter(|(name, _)| only.is_none_or(|only| only == *name)).collect();
    if chosen.is_empty() {
        return Ok(vec![]);
    }
    let scene = Scene::new(program, case, stride)?;
    Ok(chosen.into_iter().filter_map(|(name, check)| soak.tell(name, check(&scene))).collect())
}

/// A soak at work.
struct Soak<'a> {
    options: &'a Options,
    failed: Vec<String>,
}

impl Soak<'_> {
    /// Says what became of a part; a failure is kept, with the command that repeats it.
    fn tell<T: std::fmt::Debug>(&mut self, name: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(found) => {
                println!("{name}: ok: {found:?}");
                Some(found)
            }
            Err(error) => {
                let Options { kills, seed, toy, .. } = self.options;
                let kills = kills.map_or(String::new(), |kills| format!(" --kills {kills}"));
                let toy = if *toy { " --toy" } else { "" };
                let repeat = format!("cargo xtask soak --seed {seed}{kills}{toy} --only {name}");
                let failure = format!("{name}: {error:#}\n  repeat with: {repeat}");
                println!("FAILED: {failure}");
                self.failed.push(failure);
                None
            }
        }
    }
}
