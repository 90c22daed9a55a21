//! `cargo xtask tidy`: the rules of this repository that no other tool checks.

mod changelog;
mod layers;
mod lexer;
mod links;
mod packages;
mod source;

pub(crate) use changelog::{CHANGELOG, State, state};
pub(crate) use layers::{STACK, level};
pub(crate) use packages::{LICENSES, PROGRAM};

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::metadata::Package;
use crate::reproduce::page;
use crate::shell::{self, Lock};
use crate::{devices, files, metadata};

/// A broken rule; shown as `path:line: what; how to mend`.
#[derive(Debug, PartialEq)]
pub(crate) struct Violation {
    path: PathBuf,
    line: usize,
    what: String,
}

impl Violation {
    /// At a line (from 1); `what` says what is wrong and how to mend it.
    fn new(path: &Path, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }

    /// In the manifest of a package, at the line of a key or dependency; at the first line if there is none.
    fn of(package: &Package, key: &str, what: impl Into<String>) -> Self {
        let (path, line) = package.place_of(key);
        Self { path, line, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.what)
    }
}

/// Checks all rules and prints every violation.
pub(crate) fn run() -> Result<()> {
    let files = files()?;
    let members = metadata::load(Lock::Free)?.packages;
    let mut violations = layers::check(&members);
    violations.extend(packages::check(&members)?);
    violations.extend(changelog::check(&files::read(Path::new(CHANGELOG))?, &members));
    for path in &files {
        let extension = path.extension().and_then(|extension| extension.to_str());
        if !matches!(extension, Some("rs" | "md")) {
            continue;
        }
        let text = files::read(path)?;
        violations.extend(match extension {
            Some("rs") => source::check(path, &text),
            _ => links::check(path, &text, &Path::exists, &|page| files::read(page).ok()),
        });
    }
    let outdated = page::outdated()?.into_iter().map(|path| {
        let what = "not what its records and settings give; `cargo xtask reproduce NAME --preset PRESET \
                    --time-limit 0 --record` writes it anew";
        Violation::new(&path, 1, what)
    });
    violations.extend(outdated);
    violations.extend(devices::page::outdated()?.map(|path| {
        let what =
            "not what its records and targets give; `cargo xtask device page` writes it anew";
        Violation::new(&path, 1, what)
    }));
    violations.iter().for_each(|violation| println!("{violation}"));
    ensure!(violations.is_empty(), "tidy: {} violation(s)", violations.len());
    println!("tidy: {} files, no violations", files.len());
    Ok(())
}

/// The files that git has or would add, as far as they exist.
fn files() -> Result<BTreeSet<PathBuf>> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = shell::read(Command::new("git").args(arguments))?;
    let paths = listed.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from);
    Ok(paths.filter(|path| path.is_file()).collect())
}
