//! `cargo xtask fixtures`: inputs and outputs of the Python packages nflows, geomloss, torch, scipy,
//! scikit-learn, arviz, scikit-dimension, efficientnet-lite-pytorch and pytorch-fid, for our tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::python::Environment;
use crate::table::Table;
use crate::{files, shell};

/// What makes the fixtures.
const SOURCE: &str = "xtask/fixtures";

const ENVIRONMENT: Environment = Environment {
    folder: "target/fixtures-venv",
    requirements: "xtask/fixtures/requirements.txt",
    versions: &["3.11"],
    size: "about 2 GB to download, 4 GB on disk",
};

/// Where Python writes, so that a failure leaves the tests as they were.
const DRAFT: &str = "target/fixtures";

/// The scripts, each with the folder where the tests of a crate look.
const SCRIPTS: [(&str, &str); 6] = [
    ("make.py", "crates/mflow-bijectors/tests/fixtures"),
    ("flows.py", "crates/mflow/tests/fixtures"),
    ("generator.py", "crates/mflow-core/tests/fixtures"),
    ("training.py", "crates/mflow-train/tests/fixtures"),
    ("samples.py", "crates/mflow-eval/tests/fixtures"),
    ("images.py", "crates/mflow-eval/tests/image_fixtures"),
];

/// The fixtures are in git: a larger total is a mistake.
const MAX_BYTES: usize = 2_000_000;

/// Options of `cargo xtask fixtures`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The Python that the virtual environment is made with, 3.11
    #[arg(long, default_value = "python3")]
    python: PathBuf,
}

/// Makes all fixtures afresh and lists them.
pub(crate) fn run(options: &Options) -> Result<()> {
    let python = ENVIRONMENT.python(&options.python)?;
    files::remove_folder(Path::new(DRAFT))?;
    for (script, fixtures) in SCRIPTS {
        let draft = Path::new(DRAFT).join(script);
        // One thread: sums of more have another order, and the last digits differ.
        let mut make = Command::new(&python);
        make.arg(Path::new(SOURCE).join(script)).arg(&draft);
        shell::run(make.env("OMP_NUM_THREADS", "1"))?;
        replace(&draft, Path::new(fixtures))?;
    }
    Ok(())
}

/// Puts all that a script has drafted in the place of the fixtures there are, and lists it.
fn replace(draft: &Path, fixtures: &Path) -> Result<()> {
    let mut made = read(draft)?;
    made.sort();
    let total: usize = made.iter().map(|(_, bytes)| bytes.len()).sum();
    ensure!(!made.is_empty(), "{} has no files", draft.display());
    ensure!(total <= MAX_BYTES, "{total} bytes in {}, more than {MAX_BYTES}", draft.display());
    let mut table = Table::new(["file", "bytes", "changed"]);
    for (name, bytes) in &made {
        let same = fs::read(fixtures.join(name)).is_ok_and(|old| old == *bytes);
        table.push([name.as_str(), &bytes.len().to_string(), if same { "no" } else { "yes" }]);
    }
    files::remove_folder(fixtures)?;
    for (name, bytes) in &made {
        files::write(&fixtures.join(name), bytes)?;
    }
    println!("\n{}\n{} files, {total} bytes in {}\n", table.text(), made.len(), fixtures.display());
    Ok(())
}

/// The names and contents of the files in a folder.
fn read(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let listed = || -> std::io::Result<Vec<_>> {
        let entries = fs::read_dir(folder)?;
        entries
            .map(|entry| {
                let entry = entry?;
                Ok((entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?))
            })
            .collect()
    };
    listed().with_context(|| format!("reading {}", folder.display()))
}
