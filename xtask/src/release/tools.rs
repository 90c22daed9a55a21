//! Tools that may not be installed: cargo-deny, cargo-semver-checks, cargo-auditable.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::repository::git;
use super::{FOLDER, Outcome, Release};
use crate::shell::{self, Lock};
use crate::tidy::PROGRAM;

/// What the linker calls the list of packages in a program that cargo-auditable built.
const SECTION: &[u8] = b".dep-v0";

/// What to say where `cargo TOOL` is not installed.
fn missing(tool: &str) -> Option<Outcome> {
    let asked = shell::read(&mut shell::cargo(&format!("{tool} --version"), Lock::Free));
    let install = format!("`cargo install cargo-{tool} --locked`");
    asked.is_err().then(|| Outcome::not_checked(format!("cargo-{tool} is not installed"), install))
}

/// Licences, sources, duplicates and bans of deny.toml.
pub(super) fn deny() -> Result<Outcome> {
    if let Some(outcome) = missing("deny") {
        return Ok(outcome);
    }
    shell::run(&mut shell::cargo("deny check -D warnings licenses bans sources", Lock::Free))?;
    Ok(Outcome::Good("licences, bans, duplicates and sources are those of deny.toml".into()))
}

/// Known faults of dependencies, where their list can be had.
pub(super) fn advisories() -> Result<Outcome> {
    if let Some(outcome) = missing("deny") {
        return Ok(outcome);
    }
    if let Err(error) = shell::read(&mut shell::cargo("deny fetch db", Lock::Free)) {
        println!("{error:#}");
        let why = "the database of advisories cannot be reached";
        return Ok(Outcome::not_checked(
            why,
            "`cargo deny check advisories`, where the network allows it",
        ));
    }
    shell::run(&mut shell::cargo("deny check -D warnings advisories", Lock::Free))?;
    Ok(Outcome::Good("no known faults of dependencies".into()))
}

/// The public interfaces, against those of an earlier revision.
pub(super) fn interfaces(release: &Release) -> Result<Outcome> {
    let tag = || git(&["describe", "--tags", "--abbrev=0", "--match", "v*"]).ok();
    let Some(baseline) = release.baseline.clone().or_else(tag) else {
        let why = "there is no tag v* and no --baseline to compare interfaces with";
        return Ok(Outcome::not_checked(
            why,
            "nothing for a first release; else `--baseline REVISION`",
        ));
    };
    if let Some(outcome) = missing("semver-checks") {
        return Ok(outcome);
    }
    let mut check =
        shell::cargo("semver-checks check-release --workspace --default-features", Lock::Free);
    shell::run(check.args(["--baseline-rev", &baseline]))?;
    Ok(Outcome::Good(format!("the version allows for all changes of interfaces since {baseline}")))
}

/// The program, with the list of its packages inside.
pub(super) fn program(release: &Release) -> Result<Outcome> {
    if let Some(outcome) = missing("auditable") {
        return Ok(outcome);
    }
    let build = format!("auditable build --release -p {PROGRAM}");
    shell::run(&mut shell::cargo(&build, Lock::Locked))?;
    let name = format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX);
    let built = release.target.join("release").join(&name);
    let bytes = fs::read(&built).with_context(|| format!("reading {}", built.display()))?;
    let has_list = bytes.windows(SECTION.len()).any(|window| window == SECTION);
    ensure!(has_list, "{} holds no list of its packages", built.display());
    let kept = Path::new(FOLDER).join(name);
    fs::create_dir_all(FOLDER)?;
    fs::copy(&built, &kept).with_context(|| format!("writing {}", kept.display()))?;
    Ok(Outcome::Good(format!(
        "{}: for this machine, with the list of its packages inside",
        kept.display()
    )))
}
