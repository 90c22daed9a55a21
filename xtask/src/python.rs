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
    /// Its Python, if it is there with what is required.
    fn ready(&self) -> Result<Option<PathBuf>> {
        let folder = Path::new(self.folder);
        let own = folder.join("bin/python");
        let required = files::read(Path::new(self.requirements))?;
        // Only there after an install that succeeded.
        let installed = files::read(&folder.join("installed.txt"));
        let is_ready = own.exists() && installed.is_ok_and(|text| text == required);
        Ok(is_ready.then_some(own))
    }

    /// Why it cannot be made with this Python, or from here; none if it is there already.
    pub(crate) fn obstacle(&self, python: &Path) -> Option<&'static str> {
        if self.ready().is_ok_and(|own| own.is_some()) {
            return None;
        }
        if self.check_version(python).is_err() {
            return Some("there is no python3 of a version that the packages are for");
        }
        // The smallest of what is required: without it the others are not to be had either.
        let text = files::read(Path::new(self.requirements)).unwrap_or_default();
        let smallest = text.lines().find(|line| line.starts_with("iniconfig==")).unwrap_or("pip");
        let fetch = "-m pip download --no-deps --no-cache-dir --disable-pip-version-check -q --retries 1 -d";
        let mut fetch_one = Command::new(python);
        fetch_one.args(fetch.split(' ')).args(["target/tmp/pip", smallest]);
        match shell::read(&mut fetch_one) {
            Ok(_) => None,
            Err(_) => {
                Some("pip of python3 cannot fetch packages: it is missing, or there is no network")
            }
        }
    }

    fn check_version(&self, python: &Path) -> Result<()> {
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
        Ok(())
    }

    /// Makes it with this Python, unless it is there with what is required; returns its own Python.
    pub(crate) fn python(&self, python: &Path) -> Result<PathBuf> {
        if let Some(own) = self.ready()? {
            println!("{} has what {} asks for", self.folder, self.requirements);
            return Ok(own);
        }
        self.check_version(python)?;
        let folder = Path::new(self.folder);
        let own = folder.join("bin/python");
        files::remove_folder(folder)?;
        shell::run(Command::new(python).args(["-m", "venv", self.folder]))?;
        println!("installing: {}", self.size);
        let install = "-m pip install --no-deps --no-cache-dir --disable-pip-version-check -r";
        shell::run(Command::new(&own).args(install.split(' ')).arg(self.requirements))
            .context("installing what the scripts need; the messages of pip are above")?;
        let required = files::read(Path::new(self.requirements))?;
        files::write(&folder.join("installed.txt"), required.as_bytes())?;
        Ok(own)
    }
}
