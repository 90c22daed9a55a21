//! Helpers: fixtures and temporary files.

use std::fs;
use std::path::{Path, PathBuf};

/// The numbers of the fixtures; see `fixtures/make.py`.
pub(crate) const BASE: [f64; 6] = [1.0, 2.0, 3.0, 100.0, 0.0, 7.0];

/// The fixture of this name.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A new directory, removed when dropped.
pub(crate) fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// A new file of this name with these bytes.
pub(crate) fn file(directory: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, bytes).expect("the file is written");
    path
}

/// Asserts that this is an error whose message has all these parts.
#[track_caller]
pub(crate) fn assert_error<T: std::fmt::Debug>(result: mflow_data::Result<T>, parts: &[&str]) {
    let message = result.expect_err("an error").to_string();
    for part in parts {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
}
