//! The methods of scikit-learn that the study sets beside mflow.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::python::Environment;

/// Names for the script, with titles for tables.
pub(super) const PEERS: [(&str, &str); 4] = [
    ("pca", "PCA"),
    ("kernel-pca", "kernel PCA"),
    ("isomap", "Isomap"),
    ("autoencoder", "autoencoder"),
];

const ENVIRONMENT: Environment = Environment {
    folder: "target/manifolds-venv",
    requirements: "xtask/manifolds/requirements.txt",
    versions: &["3.11", "3.12", "3.13"],
    size: "about 70 MB to download, 300 MB on disk",
};

/// A Python with what the script needs.
pub(super) fn python(base: &Path) -> Result<PathBuf> {
    ENVIRONMENT.python(base)
}

/// The command that prints what a peer finds of the data in `folder`, as JSON.
pub(super) fn command(python: &Path, peer: &str, folder: &Path, dim: u32, seed: u64) -> Command {
    let mut command = Command::new(python);
    command.arg("xtask/manifolds/peers.py").arg(peer);
    command.arg(folder).args([dim.to_string(), seed.to_string()]);
    command
}
