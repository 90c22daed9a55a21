//! The documentation, as docs.rs makes it.

use anyhow::Result;

use crate::metadata;
use crate::shell::{self, Lock};

/// Writes the documentation of all members, with the features that docs.rs is asked for, and takes no warnings. Returns these
/// features.
pub(crate) fn run() -> Result<String> {
    let packages = metadata::load(Lock::Locked)?.packages;
    let asked = packages.iter().flat_map(|package| {
        let features = package.docs_features().into_iter();
        features.map(|feature| format!("{}/{feature}", package.name))
    });
    let features = asked.collect::<Vec<_>>().join(",");
    let mut docs = shell::cargo("doc --workspace --no-deps", Lock::Locked);
    shell::run(docs.args(["--features", &features]).env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(features)
}
