//! The inputs that are kept: `corpus/NAME` has those of the target of that name.

use std::io;
use std::path::{Path, PathBuf};

/// Names of inputs that a fuzzer must not throw away: valid files start with the first, what was a finding with the second.
pub const KEPT: [&str; 2] = ["seed-", "found-"];

/// Where they are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The inputs of a target with the names of their files, in the order of those.
///
/// # Errors
/// If the folder or a file cannot be read.
pub fn of(target: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut paths = std::fs::read_dir(folder().join(target))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    let named = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, std::fs::read(path)?))
    };
    paths.into_iter().map(named).collect()
}
