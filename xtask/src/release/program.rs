//! What the program is made of: the packages that cargo would compile for it, on any platform, and who uses whom.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

use crate::shell::{self, Lock::Locked};
use crate::tidy::PROGRAM;

/// Name and version of a package; two have the same name only at different versions.
pub(super) type Id = (String, String);

/// A package of the program.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Part {
    /// Its licence, as an SPDX expression.
    pub(super) license: String,
    /// What it uses.
    pub(super) uses: BTreeSet<Id>,
}

/// All packages of the program, the program's own among them.
pub(super) fn parts() -> Result<BTreeMap<Id, Part>> {
    // `cargo metadata` would add what only tests turn on.
    let tree =
        "tree --edges normal,build --target all --prefix depth --charset ascii --format |{p}|{l}";
    parse(&shell::read(shell::cargo(tree, Locked).args(["--package", PROGRAM]))?)
}

/// Reads lines of depth, package and licence. A package that came before has no lines below it.
pub(super) fn parse(tree: &str) -> Result<BTreeMap<Id, Part>> {
    let mut parts: BTreeMap<Id, Part> = BTreeMap::new();
    let mut above: Vec<Id> = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.split('|').collect();
        let &[depth, package, license] = fields.as_slice() else {
            bail!("`cargo tree` says {line:?}, expected DEPTH|PACKAGE|LICENCE");
        };
        let depth: usize = depth.parse().with_context(|| format!("a depth in {line:?}"))?;
        let (name, rest) =
            package.split_once(" v").with_context(|| format!("a version in {line:?}"))?;
        let version = rest.split(' ').next().unwrap_or_default();
        let id = (name.to_owned(), version.to_owned());
        above.truncate(depth);
        if let Some(part) = above.last().and_then(|user| parts.get_mut(user)) {
            part.uses.insert(id.clone());
        }
        let license = license.trim_end_matches(" (*)");
        parts.entry(id.clone()).or_default().license = expression(license);
        above.push(id);
    }
    Ok(parts)
}

/// The older way to write licences, with a slash, as SPDX has it.
fn expression(license: &str) -> String {
    license.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

#[cfg(test)]
pub(super) const TREE: &str = "0|mflow v0.1.0 (/r/crates/mflow)|MIT OR Apache-2.0
1|kuva v0.6.0|MIT
2|png v0.18.0|MIT/Apache-2.0
1|serde_derive v1.0.2 (proc-macro)|MIT OR Apache-2.0
1|png v0.18.0|MIT/Apache-2.0 (*)
1|zstd v2.1.3+zstd.1.5.7|
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_packages_and_their_uses() {
        let parts = parse(TREE).unwrap();
        let uses = |name: &str| {
            let (_, part) = parts.iter().find(|((found, _), _)| found == name).unwrap();
            part.uses.iter().map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>()
        };
        assert_eq!(parts.len(), 5);
        assert_eq!(
            uses("mflow"),
            ["kuva 0.6.0", "png 0.18.0", "serde_derive 1.0.2", "zstd 2.1.3+zstd.1.5.7"]
        );
        assert_eq!(uses("kuva"), ["png 0.18.0"]);
        assert_eq!(uses("png"), [""; 0]);
    }

    #[test]
    fn licences_are_spdx() {
        let parts = parse(TREE).unwrap();
        let license =
            |name: &str, version: &str| &parts[&(name.to_owned(), version.to_owned())].license;
        assert_eq!(license("png", "0.18.0"), "MIT OR Apache-2.0");
        assert_eq!(license("mflow", "0.1.0"), "MIT OR Apache-2.0");
        assert_eq!(expression("Apache-2.0 / MIT"), "Apache-2.0 OR MIT");
    }
}
