//! Virtual environments for scripts that need Python packages, kept between runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{files, shell};

/// A virtual environment with the packages of a requirements file, complete: they are installed without
/// looking at what they ask for.
#[derive(Debug)]
pub(crate) struct Environment {
    /// Where it is made.
    pub(crate) folder: &'static str,
    /// The requirements file.
    pub(crate) requirements: &'static str,
    /// The versions of Python that the packages are there for.
    pub(crate) versions: &'static [&'static str],
    /// What an installation takes, in words.
    pub(crate) size: &'static str,
}

impl Environment {
    /// Makes it with this Python, unless it is there with what is required; returns its own Python.
    pub(crate) fn python(&self, python: &Path) -> Result<PathBuf> {
        let folder = Path::new(self.folder);
        let own = folder.join("bin/python");
        let required = files::read(Path::new(self.requirements))?;
        let installed = folder.join("installed.txt"); // only there after an install that succeeded
        if own.exists() && files::read(&installed).is_ok_and(|text| text == required) {
            println!("{} has what {} asks for", self.folder, self.requirements);
            return Ok(own);
        }
        let version = "import sys; print('%d.%d' % sys.version_info[:2])";
        let version = shell::read(Command::new(python).args(["-c", version]))
            .with_context(|| format!("needs {}; name another with --python", python.display()))?;
        ensure!(
            self.versions.contains(&version.trim()),
            "{} is Python {}, and the packages are for {}; name another with --python",
            python.display(),
            version.trim(),
            self.versions.join(", "),
        );
        files::remove_folder(folder)?;
        shell::run(Command::new(python).args(["-m", "venv", self.folder]))?;
        println!("installing: {}", self.size);
        let install = "-m pip install --no-deps --no-cache-dir --disable-pip-version-check -r";
        shell::run(Command::new(&own).args(install.split(' ')).arg(self.requirements))
            .context("installing what the scripts need; the messages of pip are above")?;
        files::write(&installed, required.as_bytes())?;
        Ok(own)
    }
}
