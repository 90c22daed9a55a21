//! Files for readers that take only a path.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

/// A file system in memory, where there is one.
const MEMORY: &str = "/dev/shm";

thread_local! {
    static FOLDER: OnceLock<TempDir> = const { OnceLock::new() };
}

/// A folder of this thread, which goes with it.
pub(crate) fn folder() -> PathBuf {
    FOLDER
        .with(|folder| folder.get_or_init(|| new().expect("a temporary folder")).path().to_owned())
}

fn new() -> std::io::Result<TempDir> {
    let memory = Path::new(MEMORY);
    let mut builder = tempfile::Builder::new();
    builder.prefix("mflow-fuzz-");
    if memory.is_dir() { builder.tempdir_in(memory) } else { builder.tempdir() }
}

/// The file of this name, with these bytes, in the folder of this thread.
pub(crate) fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    std::fs::write(&path, bytes).expect("a file in the temporary folder");
    path
}
