//! Files that are there whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Place, Result};

/// Writes the file at `path` by `write`, so that whoever looks finds the old file or the whole
/// new one, also after a crash.
///
/// The bytes go to a temporary file in the same directory (`.NAME.PID.COUNT.tmp`), which is
/// flushed to the disk and then renamed. On any failure it is removed, and what was at `path`
/// stays as it was. The new file has the permissions of a new file; a symbolic link at `path` is
/// replaced, not followed.
///
/// # Errors
///
/// [`Error::StorageFull`] where the disk or the quota is full, else [`Error::Io`] with what
/// `write` or the system returned.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    let mut pending = Pending::create(path)?;
    pending.write(write)?;
    pending.finish()
}

/// A file on its way, as [`write_atomically`] has it: what is written is nowhere to be seen until it is finished, and gone if
/// it never is.
#[derive(Debug)]
pub(super) struct Pending {
    path: PathBuf,
    writer: BufWriter<File>,
    temporary: Temporary,
}

impl Pending {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let (file, temporary) = Temporary::create(path).map_err(failed(path, "create"))?;
        Ok(Self { path: path.to_path_buf(), writer: BufWriter::new(file), temporary })
    }

    pub(super) fn write(
        &mut self,
        write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<()> {
        write(&mut self.writer).map_err(failed(&self.path, "write"))
    }

    pub(super) fn finish(self) -> Result<()> {
        let Self { path, writer, temporary } = self;
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error);
        let file = file.map_err(failed(&path, "write"))?;
        file.sync_all().map_err(failed(&path, "write"))?;
        drop(file); // some systems do not rename an open file
        temporary.rename_to(&path).map_err(failed(&path, "replace"))
    }
}

/// What to make of an error of the system.
pub(super) fn failed<'a>(
    path: &'a Path,
    action: &'static str,
) -> impl FnOnce(io::Error) -> Error + 'a {
    move |source| match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Error::StorageFull { path: path.to_path_buf(), source }
        }
        _ => Error::Io { action, place: Place::file(path), source },
    }
}

/// A file that is removed when dropped, unless it was renamed before.
#[derive(Debug)]
struct Temporary {
    path: Option<PathBuf>,
}

impl Temporary {
    /// Creates an empty file beside `path`.
    fn create(path: &Path) -> io::Result<(File, Self)> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let Some(name) = path.file_name() else {
            return Err(io::Error::new(ErrorKind::InvalidInput, "the path names no file"));
        };
        if path.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let mut hidden = OsString::from(".");
            hidden.push(name);
            hidden.push(format!(".{}.{count}.tmp", process::id()));
            let temporary = path.with_file_name(hidden);
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Ok(file) => return Ok((file, Self { path: Some(temporary) })),
                // Left by a crashed process of the same number: it may be someone's, so step on.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Puts the file at `path`.
    fn rename_to(mut self, path: &Path) -> io::Result<()> {
        if let Some(temporary) = &self.path {
            fs::rename(temporary, path)?;
        }
        self.path = None;
        sync_directory(path);
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Nothing can be done about a failure, and that which led here is being reported.
            let _ = fs::remove_file(path);
        }
    }
}

/// Makes the renaming itself survive a power cut, where the system can: the file is in place and
/// whole in any case, so that a failure is none of the caller's.
pub(super) fn sync_directory(path: &Path) {
    if cfg!(unix) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let _ = File::open(parent.unwrap_or(Path::new("."))).and_then(|dir| dir.sync_all());
    }
}

/// Writes a slice of numbers as little-endian bytes, a buffer at a time.
pub(super) fn write_little_endian<T: Copy, const N: usize>(
    writer: &mut dyn io::Write,
    values: &[T],
    bytes: impl Fn(T) -> [u8; N],
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(4096 * N);
    for chunk in values.chunks(4096) {
        buffer.clear();
        buffer.extend(chunk.iter().flat_map(|&value| bytes(value)));
        writer.write_all(&buffer)?;
    }
    Ok(())
}
