//! The inputs that are committed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::files;

/// Files and bytes of a target that are kept beside those with a name.
const MOST_FILES: usize = 60;
const MOST_BYTES: u64 = 100_000;
/// What valid files and mended findings are called; they stay.
const KEPT: [&str; 2] = ["seed-", "found-"];

/// Where the inputs of a target are.
pub(super) fn folder(target: &str) -> PathBuf {
    Path::new("fuzz/corpus").join(target)
}

/// Those of a target.
pub(super) fn of(target: &str) -> Result<Vec<PathBuf>> {
    files(&folder(target))
}

/// The files of a folder, in the order of their names.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let reading = || format!("reading {}", folder.display());
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(reading)? {
        all.push(entry.with_context(reading)?.path());
    }
    all.sort();
    Ok(all)
}

/// Whether a file stays, whatever it reaches.
fn is_named(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    KEPT.iter().any(|start| name.starts_with(start))
}

/// Puts merged inputs in the place of those that have no name, the smallest first; how many there are then.
pub(super) fn keep(target: &str, merged: &Path) -> Result<usize> {
    let folder = folder(target);
    keep_in(&folder, merged)?;
    Ok(files(&folder)?.len())
}

fn keep_in(folder: &Path, merged: &Path) -> Result<()> {
    let mut named = Vec::new();
    for path in files(folder)? {
        match is_named(&path) {
            true => named
                .push(std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?),
            false => std::fs::remove_file(&path)
                .with_context(|| format!("removing {}", path.display()))?,
        }
    }
    let mut inputs = Vec::new();
    for path in files(merged)? {
        let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        if !named.contains(&bytes) {
            inputs.push((bytes, path));
        }
    }
    inputs.sort_by_key(|(bytes, _)| bytes.len());
    let mut room = MOST_BYTES;
    for (bytes, path) in inputs.into_iter().take(MOST_FILES) {
        let Some(left) = room.checked_sub(bytes.len() as u64) else { break };
        room = left;
        files::write(&folder.join(path.file_name().unwrap_or_default()), &bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_inputs_replace_those_without_a_name() {
        let root = std::env::temp_dir().join(format!("xtask-fuzz-{}", std::process::id()));
        let (folder, merged) = (root.join("corpus"), root.join("merged"));
        let write = |path: PathBuf, bytes: &[u8]| files::write(&path, bytes).unwrap();
        write(folder.join("seed-a"), b"valid");
        write(folder.join("0123"), b"old");
        write(merged.join("4567"), b"new");
        write(merged.join("89ab"), b"valid");
        write(merged.join("cdef"), &[0; 200_000]);
        keep_in(&folder, &merged).unwrap();
        let names = files(&folder).unwrap();
        let names: Vec<_> = names.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["4567", "seed-a"]);
        files::remove_folder(&root).unwrap();
    }
}
