//! What `cargo metadata` says of this workspace, as far as xtask needs it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::files;
use crate::shell::{self, Lock};

/// The workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    /// Its members.
    pub(crate) packages: Vec<Package>,
    /// Where cargo builds when xtask calls it.
    pub(crate) target_directory: PathBuf,
}

/// A member of the workspace, or what it depends on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Its `Cargo.toml`.
    pub(crate) manifest_path: PathBuf,
    /// Normal, dev and build dependencies.
    pub(crate) dependencies: Vec<Dependency>,
    /// What it builds.
    pub(crate) targets: Vec<Target>,
    /// Its features, with what each of them turns on.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// The registries that it may be published to: none is any, an empty list no one.
    pub(crate) publish: Option<Vec<String>>,
    /// Who wrote it.
    pub(crate) authors: Vec<String>,
    /// What it is.
    pub(crate) description: Option<String>,
    /// An SPDX expression, mostly.
    pub(crate) license: Option<String>,
    /// A path relative to its folder.
    pub(crate) readme: Option<PathBuf>,
    /// Where its documentation is.
    pub(crate) documentation: Option<String>,
    /// Where its source is.
    pub(crate) repository: Option<String>,
    /// What it is found by.
    pub(crate) keywords: Vec<String>,
    /// Where crates.io sorts it.
    pub(crate) categories: Vec<String>,
    /// The oldest Rust that it promises to build with.
    pub(crate) rust_version: Option<String>,
    /// `[package.metadata]`.
    pub(crate) metadata: Value,
}

impl Package {
    /// Whether it may be published at all.
    pub(crate) fn is_published(&self) -> bool {
        self.publish.as_ref().is_none_or(|registries| !registries.is_empty())
    }

    /// Where its `Cargo.toml` is.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new(""))
    }

    /// The features that docs.rs is asked for.
    pub(crate) fn docs_features(&self) -> Vec<&str> {
        let features = self.metadata.pointer("/docs/rs/features").and_then(Value::as_array);
        features.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The path of its manifest in this repository, and the line there that begins with a key; the first one if none does.
    pub(crate) fn place_of(&self, key: &str) -> (PathBuf, usize) {
        let root = std::env::current_dir().unwrap_or_default();
        let path = self.manifest_path.strip_prefix(root).unwrap_or(&self.manifest_path);
        let text = files::read(path).unwrap_or_default();
        let names = |line: &str| {
            let rest = line.trim_start().strip_prefix(key);
            rest.is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
        };
        (path.to_owned(), text.lines().position(names).unwrap_or(0) + 1)
    }
}

/// One line of a dependency table.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Dependency {
    /// The name of the package, not of its rename.
    pub(crate) name: String,
    /// The versions that do, like `^1.2`; `*` if none is said.
    pub(crate) req: String,
    /// `dev`, `build`, or none of a normal one.
    pub(crate) kind: Option<String>,
}

/// A library, program, example, test or bench.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: String,
    /// `["lib"]`, `["example"]`, …
    pub(crate) kind: Vec<String>,
    /// Without which it is not built.
    #[serde(rename = "required-features", default)]
    pub(crate) required_features: Vec<String>,
}

/// Asks cargo for the members.
pub(crate) fn load(lock: Lock) -> Result<Metadata> {
    ask("metadata --no-deps --format-version 1", lock)
}

/// Asks cargo for the members and all that is in `Cargo.lock`.
pub(crate) fn load_all(lock: Lock) -> Result<Metadata> {
    ask("metadata --format-version 1", lock)
}

fn ask(what: &str, lock: Lock) -> Result<Metadata> {
    serde_json::from_str(&shell::read(&mut shell::cargo(what, lock))?)
        .context("reading what cargo metadata says")
}
