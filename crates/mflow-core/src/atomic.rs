//! Files that are there whole or not at all.
use crate::{Error, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Write `path` by way of a temporary file beside it: write, fsync, rename, fsync the folder.
///
/// A crash, a full disk or a second reader sees the old file or the new one, never a part; whatever
/// fails, the temporary file is removed.
///
/// # Errors
/// If writing fails, with the path.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary: PathBuf = path.with_file_name(name);
    let attempt = || -> std::io::Result<()> {
        let mut file = std::io::BufWriter::new(File::create(&temporary)?);
        write(&mut file)?;
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&temporary, path)?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        // Not every system can sync a folder; the file itself is safe by now.
        File::open(folder.unwrap_or(Path::new("."))).and_then(|f| f.sync_all()).ok();
        Ok(())
    };
    attempt().map_err(|source| {
        fs::remove_file(&temporary).ok();
        Error::Io { path: path.to_owned(), source }
    })
}
