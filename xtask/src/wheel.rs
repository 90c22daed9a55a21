//! `cargo xtask python`: builds the wheel of the Python package, and runs its tests in a virtual environment.

use std::path::{Path, PathBuf, absolute};
use std::process::Command;
use std::{fs, io};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::python::Environment;
use crate::shell::{self, Lock};
use crate::{built, files, metadata};

const PYTHON: &str = "python3";
const PACKAGE: &str = "crates/mflow-python";

const ENVIRONMENT: Environment = Environment {
    folder: "target/python-venv",
    requirements: "crates/mflow-python/requirements.txt",
    versions: &["3.11", "3.12", "3.13", "3.14"],
    size: "about 150 MB to download, 600 MB on disk",
};

/// Where the wheel is put.
const WHEELS: &str = "target/wheels";

/// Options of `cargo xtask python`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The Python that the virtual environment is made with, 3.11 or newer
    #[arg(long, default_value = PYTHON)]
    python: PathBuf,
    /// Measure the time of a call and of a million rows instead, beside the program, in the release build
    #[arg(long)]
    speed: bool,
}

/// Builds, installs and tests; or measures.
pub(crate) fn run(options: &Options, lock: Lock) -> Result<()> {
    // Tests run in the folder of the package.
    let python = absolute(ENVIRONMENT.python(&options.python)?)?;
    let profile = if options.speed { "release" } else { "ci" };
    install(&python, profile)?;
    let program = program(profile, lock)?;
    if options.speed {
        let mut speed = Command::new(&python);
        return shell::run(
            speed.arg(Path::new(PACKAGE).join("benchmarks/speed.py")).env("MFLOW_PROGRAM", program),
        );
    }
    println!("*** types ***");
    for check in [&["mypy"][..], &["mypy.stubtest", "mflow._mflow", "--concise"]] {
        shell::run(Command::new(&python).arg("-m").args(check).current_dir(PACKAGE))?;
    }
    println!("*** tests, and the examples of docstrings ***");
    let tests = "-m pytest -q -p no:cacheprovider tests --doctest-modules --pyargs mflow";
    let mut tests_of = Command::new(&python);
    tests_of.args(tests.split(' ')).current_dir(PACKAGE).env("MFLOW_PROGRAM", program);
    shell::run(&mut tests_of)
}

/// Why CI cannot run the tests here, if so.
pub(crate) fn obstacle() -> Option<&'static str> {
    ENVIRONMENT.obstacle(Path::new(PYTHON))
}

/// Tests that CI runs.
pub(crate) fn check() -> Result<()> {
    run(&Options { python: PathBuf::from(PYTHON), speed: false }, Lock::Locked)
}

/// Puts the package into the environment.
fn install(python: &Path, profile: &str) -> Result<()> {
    files::remove_folder(Path::new(WHEELS))?;
    let mut maturin = Command::new(python);
    maturin.args(["-m", "maturin", "build", "--locked", "--profile", profile, "--out", WHEELS]);
    maturin.arg("--manifest-path").arg(Path::new(PACKAGE).join("Cargo.toml"));
    if profile == "ci" {
        // With what tests of the workspace want of our crates: else all of them would be compiled anew.
        maturin.args(["--features", "mflow/laws"]);
    }
    shell::run(&mut maturin)?;
    let wheels = fs::read_dir(WHEELS).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let wheels = wheels.with_context(|| format!("reading {WHEELS}"))?;
    let [wheel] = wheels.as_slice() else {
        bail!("expected one wheel in {WHEELS}, found {}", wheels.len());
    };
    let install =
        "-m pip install --no-deps --no-index --force-reinstall --disable-pip-version-check -q";
    shell::run(Command::new(python).args(install.split(' ')).arg(wheel.path()))
        .context("installing the wheel; the messages of pip are above")
}

/// The program, with which results are compared: in the profile of tests the one that CI builds anyway.
fn program(profile: &str, lock: Lock) -> Result<PathBuf> {
    let folder = if profile == "ci" {
        built::programs(lock)?
    } else {
        shell::run(&mut shell::cargo("build --release --bin mflow", lock))?;
        metadata::load(lock)?.target_directory.join(profile)
    };
    Ok(folder.join(format!("mflow{}", std::env::consts::EXE_SUFFIX)))
}
