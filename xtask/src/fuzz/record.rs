//! What came of fuzzing each target.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::work::Found;
use crate::files;
use crate::provenance::Provenance;

/// The last session of a target that found nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Seconds that libFuzzer ran.
    pub(super) seconds: f64,
    /// Inputs that were tried.
    pub(super) executions: u64,
    /// Places in the code that were reached, by edges.
    pub(super) edges: u64,
    /// Edges with how often they were passed, and comparisons: what libFuzzer calls features.
    pub(super) features: u64,
    /// The most memory of the process, in MiB.
    pub(super) memory: u64,
    /// Inputs that are kept.
    pub(super) kept: usize,
    /// What was checked out.
    pub(super) commit: String,
    /// Whether there were uncommitted changes.
    pub(super) dirty: bool,
    /// The day.
    pub(super) date: String,
}

impl Record {
    /// Of a session, after which so many inputs are kept.
    pub(super) fn new(found: &Found, kept: usize, provenance: &Provenance) -> Self {
        let Provenance { commit, dirty, date, .. } = provenance.clone();
        Self {
            seconds: found.seconds,
            executions: found.executions,
            edges: found.edges,
            features: found.features,
            memory: found.memory,
            kept,
            commit,
            dirty,
            date,
        }
    }
}

/// Of each target by its name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Records(pub(super) BTreeMap<String, Record>);

impl Records {
    /// Those of a file, none if there is no file.
    pub(super) fn read(path: &Path) -> Result<Self> {
        if path.exists() { files::read_json(path) } else { Ok(Self::default()) }
    }

    /// Takes the place of an older one.
    pub(super) fn put(&mut self, name: String, record: Record) {
        self.0.insert(name, record);
    }

    /// Writes the file.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("writing JSON")?;
        files::write(path, format!("{text}\n").as_bytes())
    }
}
