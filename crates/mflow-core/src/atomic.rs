//! Files that are there whole or not at all.
use crate::{Error, Result};
use std::ffi::OsStr;
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
        sync_name(path);
        Ok(())
    };
    attempt().map_err(|source| {
        fs::remove_file(&temporary).ok();
        Error::Io { path: path.to_owned(), source }
    })
}

/// Make the folder `path`, and those above it that are missing, so that they outlast a power cut.
///
/// # Errors
/// If one of them cannot be made, with the path.
pub fn create_folder(path: &Path) -> Result<()> {
    let above = path.ancestors().filter(|p| !p.as_os_str().is_empty());
    let missing: Vec<&Path> = above.take_while(|p| !p.exists()).collect();
    fs::create_dir_all(path).map_err(Error::io(path))?;
    missing.into_iter().rev().for_each(sync_name);
    Ok(())
}

/// Make the name of a file or folder outlast a power cut. Not every system can sync the folder that holds it; the file itself
/// is safe by now.
fn sync_name(path: &Path) {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new("."))).and_then(|f| f.sync_all()).ok();
}

/// Whether a file called `name` is a part that [`write_atomically`] left behind when its process was killed: `NAME.PID.tmp`.
pub fn is_part(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let process = name.strip_suffix(".tmp").and_then(|rest| rest.rsplit_once('.'));
    process.is_some_and(|(_, id)| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()))
}

/// Remove the parts of files that killed processes left in a folder and in those below it. Nobody may be writing there.
///
/// # Errors
/// If a folder cannot be read or a file not be removed, with the path.
pub fn remove_parts(folder: &Path) -> Result<()> {
    let entries =
        fs::read_dir(folder).map_err(Error::io(folder))?.filter_map(std::result::Result::ok);
    for entry in entries {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_parts(&path)?;
        } else if is_part(&entry.file_name()) {
            fs::remove_file(&path).map_err(Error::io(&path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_files_are_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        create_folder(&inner).unwrap();
        create_folder(&inner).expect("it may be there");
        for name in ["x.npy.12.tmp", ".x.npy.12.0.tmp", "x.npy", "x.tmp", "x.y.tmp", "x.12.tmp.npy"]
        {
            fs::write(folder.path().join(name), "").unwrap();
            fs::write(inner.join(name), "").unwrap();
        }
        remove_parts(folder.path()).unwrap();
        for folder in [folder.path(), &inner] {
            let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
            let files = names.filter(|entry| entry.path().is_file());
            let mut left: Vec<_> = files.map(|entry| entry.file_name()).collect();
            left.sort();
            assert_eq!(left, ["x.12.tmp.npy", "x.npy", "x.tmp", "x.y.tmp"]);
        }
        assert!(create_folder(&folder.path().join("x.npy/c")).is_err(), "a file is in the way");
    }
}
