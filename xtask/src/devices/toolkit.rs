//! The CUDA toolkit from wheels: what a build with the feature `cuda` needs, without a GPU and its driver.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::driver;
use crate::python::Environment;

const ENVIRONMENT: Environment = Environment {
    folder: "target/cuda-toolkit",
    requirements: "xtask/devices/requirements.txt",
    versions: &["3.9", "3.10", "3.11", "3.12", "3.13", "3.14"],
    size: "0.6 GB to download, 1.3 GB on disk",
};

/// The compute capability that kernels are compiled for: that of an H100.
const CAPABILITY: &str = "90";
/// The version of CUDA as cudarc writes it.
const VERSION: &str = "13000";

/// The libraries that programs are linked with, and their versions; wheels have them under those names only.
const LIBRARIES: [(&str, u32); 5] =
    [("cublas", 13), ("cublasLt", 13), ("curand", 10), ("nvrtc", 13), ("cudart", 13)];

/// An installed toolkit.
#[derive(Debug)]
pub(crate) struct Toolkit {
    home: PathBuf,
}

impl Toolkit {
    /// Installs it below `target`, unless it is there.
    pub(crate) fn install(python: &Path) -> Result<Self> {
        ENVIRONMENT.python(python)?;
        let packages = Path::new(ENVIRONMENT.folder).join("lib");
        let entries =
            packages.read_dir().with_context(|| format!("reading {}", packages.display()))?;
        let home = entries
            .filter_map(|entry| Some(entry.ok()?.path().join("site-packages/nvidia/cu13")))
            .find(|home| home.join("bin/nvcc").is_file())
            .with_context(|| format!("{}: expected nvcc, found none", packages.display()))?;
        let home = home.canonicalize()?;
        ensure!(home.join("lib").is_dir(), "{}: expected lib, found none", home.display());
        Ok(Self { home })
    }

    /// The folder of its libraries, with the names that a linker looks for.
    pub(super) fn libraries(&self) -> Result<PathBuf> {
        let folder = self.home.join("lib");
        for (name, version) in LIBRARIES {
            let versioned = format!("lib{name}.so.{version}");
            let path = folder.join(&versioned);
            ensure!(path.is_file(), "{}: expected a library, found none", path.display());
            driver::link(&folder, &format!("lib{name}.so"), Path::new(&versioned))?;
        }
        Ok(folder)
    }

    /// `command` with the variables by which build scripts find the toolkit.
    pub(crate) fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for name in ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"] {
            command.env(name, &self.home);
        }
        let earlier = env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(self.home.join("bin")).chain(env::split_paths(&earlier));
        if let Ok(paths) = env::join_paths(paths) {
            command.env("PATH", paths);
        }
        command.env("CUDA_COMPUTE_CAP", CAPABILITY).env("CUDARC_CUDA_VERSION", VERSION)
    }
}
