//! A library in the place of the GPU's driver, which linking needs and only a machine with a GPU has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::files;
use crate::shell::{self, Lock};

/// Where it is built.
const FOLDER: &str = "target/cuda-driver";

/// The name under which programs load the driver.
const NAME: &str = "libcuda.so.1";

/// What CUDA calls the absence of a device.
const NO_DEVICE: u32 = 100;

/// Builds it, with every function of the driver that cudarc declares, none of which does anything; returns its
/// folder.
pub(super) fn stub() -> Result<PathBuf> {
    let folder = PathBuf::from(FOLDER);
    let source = folder.join("driver.c");
    let functions = functions(&files::read(&declarations()?)?);
    ensure!(functions.len() > 100, "cudarc declares {} functions of the driver", functions.len());
    let of = |name: &String| format!("int {name}(void) {{ return {NO_DEVICE}; }}\n");
    files::write(&source, functions.iter().map(of).collect::<String>().as_bytes())?;
    let library = folder.join(NAME);
    let soname = format!("-Wl,-soname,{NAME}");
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-w", "-fno-builtin", &soname, "-o"]);
    shell::run(compile.arg(&library).arg(&source))
        .context("compiling a library in the place of the driver")?;
    link(&folder, "libcuda.so", Path::new(NAME))?;
    folder.canonicalize().with_context(|| format!("reading {FOLDER}"))
}

/// Links `name` in `folder` to `target`, unless it is there.
pub(super) fn link(folder: &Path, name: &str, target: &Path) -> Result<()> {
    let path = folder.join(name);
    if path.exists() {
        return Ok(());
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink(target, &path)
        .with_context(|| format!("linking {} to {}", path.display(), target.display()))?;
    #[cfg(not(unix))]
    anyhow::bail!("linking {} to {}: only on Unix", path.display(), target.display());
    Ok(())
}

/// The file of cudarc that declares the driver's functions.
fn declarations() -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        manifest_path: PathBuf,
    }
    let metadata = "metadata --format-version 1 --features mflow/cuda";
    let metadata: Metadata =
        serde_json::from_str(&shell::read(&mut shell::cargo(metadata, Lock::Free))?)
            .context("reading what cargo metadata says")?;
    let cudarc = metadata.packages.into_iter().find(|package| package.name == "cudarc");
    let manifest = cudarc.context("no cudarc among the dependencies")?.manifest_path;
    Ok(manifest.with_file_name("src").join("driver/sys/mod.rs"))
}

/// The names of the driver's functions in Rust text.
fn functions(text: &str) -> BTreeSet<String> {
    let name = |rest: &str| {
        let name = &rest[..rest.find('(')?];
        let is_driver = name.strip_prefix("cu")?.starts_with(|c: char| c.is_ascii_uppercase());
        (is_driver && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
            .then(|| name.to_owned())
    };
    text.split("fn ").skip(1).filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_the_driver_are_found() {
        let text = "pub unsafe fn cuInit(flags: u32) -> CUresult {\n extern { fn cuMemAlloc_v2(\n pub fn culib() {}\n fn cu(fn x";
        let found: Vec<String> = functions(text).into_iter().collect();
        assert_eq!(found, ["cuInit", "cuMemAlloc_v2"]);
    }
}
