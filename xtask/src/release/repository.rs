//! Of the repository itself: changes, changelog, address, Rust.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Outcome, Release};
use crate::tidy::{self, CHANGELOG, State};
use crate::{files, shell};

/// Asks git.
pub(super) fn git(arguments: &[&str]) -> Result<String> {
    Ok(shell::read(Command::new("git").args(arguments))?.trim().to_owned())
}

/// Nothing differs from the commit.
pub(super) fn tree() -> Result<Outcome> {
    let changed = git(&["status", "--porcelain"])?;
    ensure!(changed.is_empty(), "{} path(s) differ from the commit", changed.lines().count());
    Ok(Outcome::Good(format!("no changes since {}", git(&["rev-parse", "--short=12", "HEAD"])?)))
}

/// The version has a section with a day.
pub(super) fn changelog(release: &Release) -> Result<Outcome> {
    let version = &release.version;
    Ok(match tidy::state(&files::read(Path::new(CHANGELOG))?, version) {
        State::Dated(day) => Outcome::Good(format!("{version}, {day}")),
        State::Unreleased => Outcome::open(
            format!("{CHANGELOG} has no section for {version}, only what is unreleased"),
            format!("call its first section \"{version} - YEAR-MONTH-DAY\""),
        ),
    })
}

/// Packages say where their source is.
pub(super) fn address(release: &Release) -> Outcome {
    let mut lacking = release.packages.iter().filter(|package| package.repository.is_none());
    match lacking.next() {
        None => Outcome::Good("each package says where its source is".into()),
        Some(_) => Outcome::open(
            "no package says where its source is, as there is no public address yet",
            "when there is one: `repository` in [workspace.package], `repository.workspace = true` in each package",
        ),
    }
}

/// The Rust that runs here is the one that packages promise.
pub(super) fn rust(release: &Release) -> Result<Outcome> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = shell::read(Command::new(rustc).arg("--version"))?;
    let promised = release.packages.first().and_then(|package| package.rust_version.as_deref());
    compared(promised.context("no rust-version")?, &said)
}

fn compared(promised: &str, said: &str) -> Result<Outcome> {
    let running = said.split_whitespace().nth(1).with_context(|| format!("rustc says {said:?}"))?;
    let (here, least) = (release_of(running)?, release_of(promised)?);
    ensure!(here >= least, "this is Rust {running}, older than rust-version {promised}");
    Ok(if here == least {
        Outcome::Good(format!("rust-version {promised} is what runs here ({running})"))
    } else {
        Outcome::not_checked(
            format!("this is Rust {running}, which does not tell whether {promised} would do"),
            format!("`cargo +{promised} xtask release`"),
        )
    })
}

/// The first two numbers of a version of Rust.
fn release_of(version: &str) -> Result<[u32; 2]> {
    let mut numbers = version.split(['.', '-']).map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        anyhow::bail!("expected a version like 1.95, found {version:?}");
    };
    Ok([major, minor])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_promised_rust_tells_that_it_does() {
        let outcome = |said| compared("1.95", said);
        assert!(matches!(outcome("rustc 1.95.2 (abc 2026-03-21)"), Ok(Outcome::Good(_))));
        let newer = outcome("rustc 1.100.0-nightly (abc 2026-09-01)");
        assert!(matches!(newer, Ok(Outcome::NotChecked { .. })), "{newer:?}");
        assert!(outcome("rustc 1.94.0 (abc 2026-02-01)").is_err());
        assert!(outcome("nonsense").is_err());
    }
}
