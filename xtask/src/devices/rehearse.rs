//! `cargo xtask device rehearse`: the tests for CUDA on the CPU, by a driver that computes there.
//!
//! All of the code runs but the GPU's: launches with their arguments, sizes, transfers, what a driver refuses. The driver is
//! `xtask/devices/rehearsal`; it ends a process that reads or writes beside an allocation.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::driver;
use super::programs::{self, CUDA_BUILT, PROGRAMS};
use super::suite;
use super::toolkit::Toolkit;
use crate::shell;

/// What builds the driver.
const BUILD: &str = "xtask/devices/rehearsal/build.py";
/// Where it is built, and its libraries in there.
const FOLDER: &str = "target/cuda-rehearsal";
const LIBRARIES: &str = "target/cuda-rehearsal/lib";
/// What takes the place of NCCL, and where it is built.
const NCCL_SOURCE: &str = "xtask/devices/rehearsal/nccl.cpp";
const NCCL: &str = "target/cuda-rehearsal/nccl";

/// Options of `cargo xtask device rehearse`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Only tests of this package
    #[arg(long)]
    package: Option<String>,
    /// The Python whose pip gets the CUDA toolkit
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Arguments for the tests, such as a part of their names
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Builds and runs.
pub(crate) fn run(options: &Options) -> Result<()> {
    let nccl = nccl()?;
    let (programs, _) = programs::for_cuda(&Toolkit::install(&options.python)?, Some(&nccl))?;
    shell::run(Command::new(&options.python).args([BUILD, CUDA_BUILT, FOLDER]))
        .context("compiling a driver; needs a C++ compiler and binutils")?;
    let libraries = Path::new(LIBRARIES);
    let libraries = libraries.canonicalize().with_context(|| format!("reading {LIBRARIES}"))?;
    let mut failed = Vec::new();
    let wanted = |package: &str| options.package.as_ref().is_none_or(|only| only == package);
    for test in programs::tests(&programs).iter().filter(|test| wanted(&test.package)) {
        let mut command = suite::command(test, "cuda")?;
        let paths = std::env::join_paths([&libraries, &nccl]).context("naming the libraries")?;
        command.env("LD_LIBRARY_PATH", paths).args(["--test-threads", "1"]);
        if shell::run(command.args(&options.arguments)).is_err() {
            failed.push(test.title());
        }
    }
    let name = PROGRAMS[0];
    println!("by hand: LD_LIBRARY_PATH={LIBRARIES}:{NCCL} {CUDA_BUILT}/{name} ... --device cuda");
    ensure!(failed.is_empty(), "tests failed: {}", failed.join(", "));
    Ok(())
}

/// Builds a library in the place of NCCL, which programs are linked with, too; returns its folder.
fn nccl() -> Result<PathBuf> {
    std::fs::create_dir_all(NCCL).with_context(|| format!("creating {NCCL}"))?;
    let (folder, name) = (Path::new(NCCL), "libnccl.so.2");
    let mut compile = Command::new("c++");
    compile.args(["-std=c++20", "-O2", "-g", "-fPIC", "-shared"]);
    compile.arg(format!("-Wl,-soname,{name}")).arg("-o").arg(folder.join(name));
    shell::run(compile.arg(NCCL_SOURCE)).context("compiling a library in the place of NCCL")?;
    driver::link(folder, "libnccl.so", Path::new(name))?;
    folder.canonicalize().with_context(|| format!("reading {NCCL}"))
}
