//! What `cargo metadata` says of this workspace, as far as xtask needs it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::shell::{self, Lock};

/// The workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    /// Its members.
    pub(crate) packages: Vec<Package>,
    /// Where cargo builds when xtask calls it.
    pub(crate) target_directory: PathBuf,
}

/// A member of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its `Cargo.toml`.
    pub(crate) manifest_path: PathBuf,
    /// Normal, dev and build dependencies.
    pub(crate) dependencies: Vec<Dependency>,
    /// What it builds.
    pub(crate) targets: Vec<Target>,
}

/// One line of a dependency table.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    /// The name of the package, not of its rename.
    pub(crate) name: String,
}

/// A library, program, example, test or bench.
#[derive(Debug, Deserialize)]
pub(crate) struct Target {
    /// Its name.
    pub(crate) name: String,
    /// `["lib"]`, `["example"]`, …
    pub(crate) kind: Vec<String>,
    /// Without which it is not built.
    #[serde(rename = "required-features", default)]
    pub(crate) required_features: Vec<String>,
}

/// Asks cargo.
pub(crate) fn load(lock: Lock) -> Result<Metadata> {
    let mut command = shell::cargo("metadata --no-deps --format-version 1", lock);
    serde_json::from_str(&shell::read(&mut command)?).context("reading what cargo metadata says")
}
