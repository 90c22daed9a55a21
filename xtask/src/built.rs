//! What CI runs beside the tests, with the features that tests have: of a choice of packages cargo would compile all crates anew.

use std::path::PathBuf;

use anyhow::Result;

use crate::metadata;
use crate::shell::{self, Lock};

/// Builds programs and examples of the workspace in the profile of CI; the folder of the programs.
pub(crate) fn programs(lock: Lock) -> Result<PathBuf> {
    // Examples are what brings the features of tests.
    let build = "build --profile ci --workspace --bins --examples";
    shell::run(&mut shell::cargo(build, lock))?;
    Ok(metadata::load(lock)?.target_directory.join("ci"))
}
