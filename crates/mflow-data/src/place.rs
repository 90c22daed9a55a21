//! Where numbers are, for messages.

use std::fmt;
use std::path::{Path, PathBuf};

use mflow_bijectors::printable;

/// Where some numbers are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In memory: no file is involved.
    Memory,
    /// In this file.
    File(PathBuf),
    /// In one array of this `.npz` archive.
    Archive {
        /// The archive.
        path: PathBuf,
        /// The array's name, without `.npy`.
        array: String,
    },
}

impl Place {
    /// The file at `path`.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self::File(path.to_path_buf())
    }

    /// The array called `array` of the archive at `path`.
    #[must_use]
    pub fn archive(path: &Path, array: &str) -> Self {
        Self::Archive { path: path.to_path_buf(), array: array.to_owned() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("the table in memory"),
            Self::File(path) => f.write_str(&of_path(path)),
            Self::Archive { path, array } => {
                write!(f, "{}, array `{}`", of_path(path), on_one_line(array))
            }
        }
    }
}

/// A path for a message: files of a folder may be called anything.
pub(crate) fn of_path(path: &Path) -> String {
    on_one_line(&path.display().to_string())
}

/// The start of a text for a message.
pub(crate) fn start_of(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN).and_then(|(end, _)| text.get(..end)) {
        Some(start) => format!("{start}..."),
        None => text.to_owned(),
    }
}

/// A name for a message.
pub(crate) fn on_one_line(name: &str) -> String {
    printable(name).replace('\n', "\\n")
}

/// The names of columns, or how many there are.
pub(crate) fn columns(names: &[String], cols: usize) -> String {
    match names {
        [] => format!("{cols} columns without names, counting from 0"),
        names => quoted(names),
    }
}

/// As many names are listed.
const MOST_NAMES: usize = 100;

/// The names in backquotes, or `none`.
pub(crate) fn quoted(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let shown =
        names.iter().take(MOST_NAMES).map(|name| format!("`{}`", on_one_line(&start_of(name))));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
