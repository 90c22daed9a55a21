//! `cargo xtask device pack`: all that a machine with a GPU needs to carry, in one folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::programs::{self, PROGRAMS, TESTED, TESTS};
use super::toolkit::Toolkit;
use crate::provenance::Provenance;
use crate::shell;
use crate::{files, number};

/// What is carried: an archive and the wheels of Python peers.
const FOLDER: &str = "target/device";
const ARCHIVE: &str = "programs.tar.xz";

/// Where the programs are gathered.
const GATHERED: &str = "target/device-programs";

/// The peers that are packages of nothing but Python.
const PEERS: &str = "xtask/devices/peers.txt";

/// The most that the folder may hold: what can be carried has a limit.
const MOST_MIB: f64 = 50.0;

/// A window that sees all programs at once: they have the same kernels.
const XZ: &str = "--lzma2=preset=9,dict=512MiB";

/// Options of `cargo xtask device pack`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The Python whose pip gets the CUDA toolkit and the peers
    #[arg(long, default_value = "python3")]
    python: PathBuf,
}

/// Builds, gathers and packs.
pub(crate) fn run(options: &Options) -> Result<()> {
    let (programs, libraries) = programs::for_cuda(&Toolkit::install(&options.python)?, None)?;
    let tests = programs::tests(&programs);

    let gathered = Path::new(GATHERED);
    files::remove_folder(gathered)?;
    for name in PROGRAMS {
        let built = programs.iter().find(|artifact| artifact.is(name));
        let path = built.and_then(|artifact| artifact.executable.as_deref());
        strip(path.with_context(|| format!("cargo built no {name}"))?, &gathered.join(name))?;
    }
    ensure!(!tests.is_empty(), "cargo built no tests of {}", TESTED.join(", "));
    for test in &tests {
        strip(&test.path, &gathered.join(TESTS).join(test.file_name()))?;
    }
    Provenance::here()?.pack(gathered)?;
    starts(&gathered.join("mflow"), &libraries)?;

    let folder = Path::new(FOLDER);
    files::remove_folder(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("making {FOLDER}"))?;
    let archive = folder.join(ARCHIVE);
    let mut tar = Command::new("tar");
    tar.args(["-C", GATHERED, "--owner=0", "--group=0", "-I", &format!("xz -T1 {XZ}"), "-cf"]);
    shell::run(tar.arg(&archive).arg(".")).context("packing; needs tar and xz")?;
    let wheels = "-m pip wheel --no-deps --no-cache-dir --disable-pip-version-check --wheel-dir";
    shell::run(Command::new(&options.python).args(wheels.split(' ')).args([FOLDER, "-r", PEERS]))
        .context("getting the wheels of the peers; the messages of pip are above")?;
    weigh(folder)
}

/// Copies a program without what only debuggers need.
fn strip(from: &Path, to: &Path) -> Result<()> {
    let parent = to.parent().context("a program in no folder")?;
    fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
    shell::run(Command::new("strip").arg("-o").arg(to).arg(from)).context("needs binutils")
}

/// Checks that the program finds all of its libraries.
fn starts(program: &Path, libraries: &[PathBuf]) -> Result<()> {
    let paths = std::env::join_paths(libraries).context("naming the libraries")?;
    let mut version = Command::new(program);
    let version = shell::read(version.arg("--version").env("LD_LIBRARY_PATH", paths))?;
    println!("{} starts here: {}", program.display(), version.trim());
    Ok(())
}

/// Prints what is in the folder; an error if that is too much, or not of pure Python.
fn weigh(folder: &Path) -> Result<()> {
    let mut all = 0.0;
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry.with_context(|| format!("reading {}", folder.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let bytes = entry.metadata().with_context(|| format!("reading {name}"))?.len();
        let size = mib(bytes);
        println!("{size:8.2} MiB  {name}");
        all += size;
        if name.ends_with(".whl") && !name.ends_with("-none-any.whl") {
            bail!("{name}: expected a wheel for any machine; take it out of {PEERS}");
        }
    }
    println!("{all:8.2} MiB  {} in all", folder.display());
    ensure!(
        all <= MOST_MIB,
        "{}: expected at most {MOST_MIB} MiB, found {}",
        folder.display(),
        number::short(all)
    );
    Ok(())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_and_wheels_of_one_machine_are_refused() {
        let folder = std::env::temp_dir().join(format!("mflow-weigh-{}", std::process::id()));
        files::write(&folder.join("a-1.0-py3-none-any.whl"), &[0; 1000]).unwrap();
        weigh(&folder).unwrap();
        let large = fs::File::create(folder.join(ARCHIVE)).unwrap();
        large.set_len(60 << 20).unwrap();
        let error = weigh(&folder).unwrap_err().to_string();
        assert!(error.contains("at most 50 MiB, found 60"), "{error}");
        large.set_len(0).unwrap();
        files::write(&folder.join("b-1.0-cp312-cp312-linux_x86_64.whl"), b"").unwrap();
        let error = weigh(&folder).unwrap_err().to_string();
        assert!(error.contains("b-1.0") && error.contains("any machine"), "{error}");
        files::remove_folder(&folder).unwrap();
    }
}
