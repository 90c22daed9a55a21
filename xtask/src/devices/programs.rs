//! The programs of a run: packed, or built by cargo.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::cases::Preset;
use super::driver;
use super::toolkit::Toolkit;
use crate::shell::{self, Lock};

/// The packages whose tests compute on the device that `MFLOW_TEST_DEVICE` names.
pub(super) const TESTED: [&str; 3] = ["mflow-bijectors", "mflow-core", "mflow-train"];

/// Between package and target in the name of a packed test.
const BETWEEN: &str = "--";

/// The folder of tests in a pack.
pub(super) const TESTS: &str = "tests";

/// Where they are.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) mflow: PathBuf,
    pub(super) worker: PathBuf,
    pub(super) tests: Vec<TestBinary>,
}

/// Tests in one file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TestBinary {
    pub(super) package: String,
    pub(super) target: String,
    pub(super) path: PathBuf,
}

impl TestBinary {
    /// For people.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.package, self.target)
    }

    /// Its name in a pack.
    pub(super) fn file_name(&self) -> String {
        format!("{}{BETWEEN}{}", self.package, self.target)
    }

    /// Where cargo would start it, so that it finds its files.
    pub(super) fn folder(&self) -> PathBuf {
        Path::new("crates").join(&self.package)
    }
}

impl Programs {
    /// Those that were packed.
    pub(super) fn packed(folder: &Path) -> Result<Self> {
        // The tests start in another folder.
        let folder =
            folder.canonicalize().with_context(|| format!("reading {}", folder.display()))?;
        let mut tests = Vec::new();
        let list = folder.join(TESTS);
        for entry in fs::read_dir(&list).with_context(|| format!("reading {}", list.display()))? {
            let path = entry.with_context(|| format!("reading {}", list.display()))?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let parts = name.as_deref().and_then(|name| name.split_once(BETWEEN));
            let (package, target) = parts.with_context(|| {
                format!("{}: expected PACKAGE{BETWEEN}TARGET as its name", path.display())
            })?;
            let (package, target) = (package.to_owned(), target.to_owned());
            tests.push(TestBinary { package, target, path });
        }
        tests.sort_by_key(TestBinary::file_name);
        let (mflow, worker) = (folder.join("mflow"), folder.join("worker"));
        for program in [&mflow, &worker] {
            ensure!(program.is_file(), "{}: expected a program, found none", program.display());
        }
        Ok(Self { mflow, worker, tests })
    }

    /// Built by cargo, without features: in CI's profile for the dry run.
    pub(super) fn built(preset: Preset, lock: Lock) -> Result<Self> {
        let profile = match preset {
            Preset::Full => "release",
            Preset::Toy => "ci",
        };
        // The whole workspace, as a choice of packages would be compiled anew.
        let build = format!("build --profile {profile} --workspace --bins --tests");
        let artifacts = artifacts(&mut shell::cargo(&build, lock))?;
        let program = |name: &str| {
            let found =
                artifacts.iter().find(|artifact| !artifact.profile.test && artifact.is(name));
            let path = found.and_then(|artifact| artifact.executable.clone());
            path.with_context(|| format!("cargo built no program {name}"))
        };
        Ok(Self { mflow: program("mflow")?, worker: program("worker")?, tests: tests(&artifacts) })
    }
}

/// What cargo says of a thing that it built.
#[derive(Debug, Deserialize)]
pub(super) struct Artifact {
    manifest_path: PathBuf,
    target: Target,
    profile: Profile,
    pub(super) executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Profile {
    test: bool,
}

impl Artifact {
    /// Whether it is the program of this name.
    pub(super) fn is(&self, name: &str) -> bool {
        self.target.name == name && self.target.kind == ["bin"] && self.executable.is_some()
    }
}

/// Builds, and returns what was built.
pub(super) fn artifacts(build: &mut Command) -> Result<Vec<Artifact>> {
    build.args(["--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
    println!("$ {}", shell::line(build));
    parse(&shell::read(build)?)
}

fn parse(messages: &str) -> Result<Vec<Artifact>> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
    }
    let mut artifacts = Vec::new();
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let message: Message = serde_json::from_str(line).context("reading what cargo says")?;
        if message.reason == "compiler-artifact" {
            artifacts.push(serde_json::from_str(line).context("reading what cargo built")?);
        }
    }
    Ok(artifacts)
}

/// The programs, by what is run.
pub(super) const PROGRAMS: [&str; 3] = ["mflow", "worker", "xtask"];

/// Where cargo builds for CUDA, and the folder of the profile in it.
pub(super) const CUDA: &str = "target/cuda";
pub(super) const CUDA_BUILT: &str = "target/cuda/release";

/// Builds programs and tests for CUDA, without a GPU, with NCCL too if the folder of its library is given; returns them
/// with the folders of the libraries that they are linked with.
pub(super) fn for_cuda(
    toolkit: &Toolkit,
    nccl: Option<&Path>,
) -> Result<(Vec<Artifact>, Vec<PathBuf>)> {
    let mut libraries = vec![toolkit.libraries()?, driver::stub()?];
    libraries.extend(nccl.map(Path::to_owned));
    let features =
        ["mflow", "mflow-benches"].iter().chain(&TESTED).map(|package| format!("{package}/cuda"));
    let features = features.chain(nccl.map(|_| "mflow-train/nccl".to_owned()));
    let features = features.collect::<Vec<_>>().join(",");
    // All in one call, so that candle's kernels are compiled once. The tests of mflow need cargo where they run.
    let mut build = shell::cargo("build --release", Lock::Free);
    for package in ["mflow", "mflow-benches", "xtask"].iter().chain(&TESTED) {
        build.args(["-p", package]);
    }
    for name in PROGRAMS {
        build.args(["--bin", name]);
    }
    build.args(["--test", "it", "--features", &features, "--target-dir", CUDA]);
    let paths = std::env::join_paths(&libraries).context("naming the libraries")?;
    // Not RUSTFLAGS: with other flags all kernels would be compiled anew.
    Ok((artifacts(toolkit.apply(&mut build).env("LIBRARY_PATH", paths))?, libraries))
}

/// The tests that run on devices: the integration tests of some packages.
pub(super) fn tests(artifacts: &[Artifact]) -> Vec<TestBinary> {
    let test = |artifact: &Artifact| {
        let package = artifact.manifest_path.parent()?.file_name()?.to_str()?;
        let is_wanted = artifact.profile.test
            && artifact.target.kind == ["test"]
            && artifact.target.name == "it"
            && TESTED.contains(&package);
        let path = artifact.executable.clone().filter(|_| is_wanted)?;
        let (package, target) = (package.to_owned(), artifact.target.name.clone());
        Some(TestBinary { package, target, path })
    };
    artifacts.iter().filter_map(test).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = r#"
{"reason":"compiler-artifact","manifest_path":"/r/crates/mflow-core/Cargo.toml","target":{"name":"it","kind":["test"]},"profile":{"test":true},"executable":"/t/it-1"}
{"reason":"compiler-artifact","manifest_path":"/r/crates/mflow-core/Cargo.toml","target":{"name":"mflow_core","kind":["lib"]},"profile":{"test":true},"executable":"/t/core-2"}
{"reason":"compiler-artifact","manifest_path":"/r/crates/mflow-core/Cargo.toml","target":{"name":"mflow_core","kind":["lib"]},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","manifest_path":"/r/crates/mflow/Cargo.toml","target":{"name":"mflow","kind":["bin"]},"profile":{"test":false},"executable":"/t/mflow"}
{"reason":"compiler-artifact","manifest_path":"/r/crates/mflow/Cargo.toml","target":{"name":"it","kind":["test"]},"profile":{"test":true},"executable":"/t/it-3"}
{"reason":"build-finished","success":true}
"#;

    #[test]
    fn what_cargo_built_is_sorted_out() {
        let artifacts = parse(MESSAGES).unwrap();
        let found: Vec<String> = tests(&artifacts).iter().map(TestBinary::file_name).collect();
        assert_eq!(found, ["mflow-core--it"], "mflow's tests need cargo");
        assert_eq!(artifacts.iter().filter(|artifact| artifact.is("mflow")).count(), 1);
    }

    #[test]
    fn a_pack_is_read_and_what_it_lacks_is_named() {
        let folder = std::env::temp_dir().join(format!("mflow-pack-{}", std::process::id()));
        for file in ["mflow", "tests/mflow-core--it", "tests/mflow-bijectors--lib"] {
            crate::files::write(&folder.join(file), b"").unwrap();
        }
        let error = Programs::packed(&folder).unwrap_err().to_string();
        assert!(error.contains("worker: expected a program"), "{error}");
        crate::files::write(&folder.join("worker"), b"").unwrap();
        let packed = Programs::packed(&folder).unwrap();
        let titles: Vec<String> = packed.tests.iter().map(TestBinary::title).collect();
        assert_eq!(titles, ["mflow-bijectors lib", "mflow-core it"]);
        assert_eq!(packed.tests[1].folder(), Path::new("crates/mflow-core"));
        crate::files::remove_folder(&folder).unwrap();
    }
}
