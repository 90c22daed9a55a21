//! `cargo xtask mpi`: processes that train one model together give the bits of one, lose nothing when one of them dies, and
//! what they gain: docs/results/mpi.md.

mod check;
mod page;
mod speed;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::provenance::Provenance;
use crate::shell::{self, Lock};

/// Where programs, runs and logs are.
const FOLDER: &str = "target/mpi";
const PAGE: &str = "docs/results/mpi.md";

/// Builds the program with MPI, checks it, measures, and writes the page.
pub(crate) fn run() -> Result<()> {
    if Command::new("mpirun").arg("--version").output().is_err() {
        bail!(
            "there is no `mpirun` here; of Debian and Ubuntu the packages openmpi-bin, libopenmpi-dev and libclang-dev are \
             what is needed"
        );
    }
    let provenance = Provenance::here()?;
    let built = shell::cargo(
        "build --release -p mflow --features mpi --example ranks --bin mflow",
        Lock::Free,
    );
    let programs = Programs::built(built)?;
    let checked = check::run(&programs)?;
    let measured = speed::run(&programs)?;
    page::write(Path::new(PAGE), &checked, &measured, &provenance)
}

/// What is run by `mpirun`.
struct Programs {
    mflow: PathBuf,
    ranks: PathBuf,
}

impl Programs {
    /// Copies, which a later build without MPI leaves as they are.
    fn built(mut command: Command) -> Result<Self> {
        shell::run(&mut command)?;
        let target = crate::metadata::load(Lock::Free)?.target_directory.join("release");
        let copy = |from: PathBuf, name: &str| -> Result<PathBuf> {
            let to = std::path::absolute(FOLDER)?.join(name);
            std::fs::create_dir_all(FOLDER)?;
            std::fs::copy(&from, &to)?;
            Ok(to)
        };
        Ok(Self {
            mflow: copy(target.join("mflow"), "mflow")?,
            ranks: copy(target.join("examples/ranks"), "ranks")?,
        })
    }
}

/// `mpirun` of so many processes, more than there are cores if need be, by any user; their threads may use all cores.
fn mpirun(ranks: usize, program: &Path) -> Command {
    let mut command = Command::new("mpirun");
    command
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
        .env("OMPI_MCA_hwloc_base_binding_policy", "none")
        .env("PRTE_MCA_hwloc_default_binding_policy", "none")
        .env("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe")
        .args(["-n", &ranks.to_string()])
        .arg(program);
    command
}
