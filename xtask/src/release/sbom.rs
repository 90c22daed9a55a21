//! The packages of the program as a `CycloneDX` document: the same bytes for the same commit, on every machine.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::program::{self, Id, Part};
use super::repository::git;
use super::{FOLDER, Outcome, Release};
use crate::files;
use crate::tidy::PROGRAM;

/// The version of `CycloneDX`.
const SPECIFICATION: &str = "1.6";

/// Writes it.
pub(super) fn check(release: &Release) -> Result<Outcome> {
    let parts = program::parts()?;
    let lock = Lockfile::parse(&files::read(Path::new("Cargo.lock"))?)?;
    let day = git(&["show", "-s", "--format=%cI", "HEAD"])?;
    let root = (PROGRAM.to_owned(), release.version.clone());
    let document = document(&root, &parts, &lock.checksums(), &day)?;
    let path = Path::new(FOLDER).join(format!("{PROGRAM}-{}.cdx.json", release.version));
    files::write(&path, serde_json::to_string_pretty(&document)?.as_bytes())?;
    let count = parts.len() - 1;
    Ok(Outcome::Good(format!(
        "{}: CycloneDX {SPECIFICATION}, {count} packages in the program",
        path.display()
    )))
}

fn document(
    root: &Id,
    parts: &BTreeMap<Id, Part>,
    checksums: &BTreeMap<Id, String>,
    day: &str,
) -> Result<Value> {
    let of =
        |id: &Id| parts.get(id).with_context(|| format!("{} {} is not in the program", id.0, id.1));
    let program = component("application", root, of(root)?, checksums);
    let others = parts.iter().filter(|(id, _)| *id != root);
    let components: Vec<Value> =
        others.map(|(id, part)| component("library", id, part, checksums)).collect();
    let dependencies: Vec<Value> = parts
        .iter()
        .map(|(id, part)| json!({ "ref": url(id), "dependsOn": part.uses.iter().map(url).collect::<Vec<_>>() }))
        .collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "version": 1,
        "metadata": { "timestamp": day, "component": program },
        "components": components,
        "dependencies": dependencies,
    }))
}

fn component(kind: &str, id: &Id, part: &Part, checksums: &BTreeMap<Id, String>) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": url(id),
        "name": id.0,
        "version": id.1,
        "purl": url(id),
    });
    if !part.license.is_empty() {
        component["licenses"] = json!([{ "expression": part.license }]);
    }
    if let Some(checksum) = checksums.get(id) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

/// The package URL.
fn url((name, version): &Id) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

/// `Cargo.lock`.
#[derive(Deserialize)]
struct Lockfile {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

impl Lockfile {
    fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("in Cargo.lock")
    }

    /// Of the packages that come from a registry.
    fn checksums(self) -> BTreeMap<Id, String> {
        let packages = self.package.into_iter();
        packages
            .filter_map(|locked| Some(((locked.name, locked.version), locked.checksum?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "version = 4\n[[package]]\nname = \"mflow\"\nversion = \"0.1.0\"\n\
        [[package]]\nname = \"kuva\"\nversion = \"0.6.0\"\nsource = \"registry\"\nchecksum = \"ab12\"\n";

    #[test]
    fn a_document_has_every_package_its_checksum_and_its_uses() {
        let parts = program::parse(program::TREE).unwrap();
        let checksums = Lockfile::parse(LOCK).unwrap().checksums();
        let root = ("mflow".to_owned(), "0.1.0".to_owned());
        let document = document(&root, &parts, &checksums, "2026-01-31T00:00:00Z").unwrap();
        assert_eq!(document["metadata"]["component"]["purl"], "pkg:cargo/mflow@0.1.0");
        let components = document["components"].as_array().unwrap();
        assert_eq!(components.len(), 4);
        assert_eq!(
            components[0],
            json!({
                "type": "library",
                "bom-ref": "pkg:cargo/kuva@0.6.0",
                "name": "kuva",
                "version": "0.6.0",
                "purl": "pkg:cargo/kuva@0.6.0",
                "licenses": [{ "expression": "MIT" }],
                "hashes": [{ "alg": "SHA-256", "content": "ab12" }],
            })
        );
        assert_eq!(components[3]["purl"], "pkg:cargo/zstd@2.1.3%2Bzstd.1.5.7");
        assert_eq!(components[3].get("licenses"), None);
        let first = &document["dependencies"][0];
        assert_eq!(
            *first,
            json!({ "ref": "pkg:cargo/kuva@0.6.0", "dependsOn": ["pkg:cargo/png@0.18.0"] })
        );
    }
}
