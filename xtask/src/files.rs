//! Files, with errors that name them.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// Reads a JSON file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_str(&read(path)?).with_context(|| format!("in {}", path.display()))
}

/// Writes a file, and makes the folder that it goes to.
pub(crate) fn write(path: &Path, contents: &[u8]) -> Result<()> {
    path.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, contents))
        .with_context(|| format!("writing {}", path.display()))
}

/// Writes a file that others may read at any time: they find what was there, or all of `contents`.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> Result<()> {
    let part = path.with_extension(format!("part-{}", std::process::id()));
    write(&part, contents)?;
    fs::rename(&part, path).with_context(|| format!("writing {}", path.display()))
}

/// Removes a folder with all that is in it, if it is there.
pub(crate) fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}
