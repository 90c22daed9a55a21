//! What crates.io and docs.rs want of packages, and that nothing is published by accident.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Violation, links};
use crate::files;
use crate::metadata::Package;

/// The package that has the program.
pub(crate) const PROGRAM: &str = "mflow";
/// What each published package has a copy of.
pub(crate) const LICENSES: [&str; 2] = ["LICENSE-MIT", "LICENSE-APACHE"];

/// The members that no one publishes.
const INTERNAL: [&str; 4] = ["mflow-benches", "mflow-fuzz", "mflow-python", "xtask"];
const LICENSE: &str = "MIT OR Apache-2.0";
const REGISTRY: &str = "crates-io";
/// Features that need a device, a library or a toolkit, which docs.rs has not.
const UNDOCUMENTED: [&str; 6] = ["accelerate", "cuda", "metal", "mkl", "mpi", "nccl"];
/// Limits of crates.io.
const MOST_WORDS: usize = 5;
const LONGEST_WORD: usize = 20;

/// Where a user reads what features there are.
const FEATURES: &str = "docs/reference/features.md";
/// Texts that name the minimum Rust, with the words before it.
const RUST: [(&str, &str); 2] = [("README.md", "With Rust "), (super::CHANGELOG, "Minimum Rust: ")];

/// The package of the program.
pub(super) fn program(members: &[Package]) -> Option<&Package> {
    members.iter().find(|package| package.name == PROGRAM)
}

/// Checks the manifests of all members, and the files that go with those that may be published.
pub(super) fn check(members: &[Package]) -> Result<Vec<Violation>> {
    let program = program(members).context("no package mflow")?;
    let mut violations = Vec::new();
    let guide = files::read(Path::new(FEATURES))?;
    for package in members {
        let complaints = manifest(package, program);
        violations
            .extend(complaints.into_iter().map(|(key, what)| Violation::of(package, key, what)));
        if package.is_published() {
            violations.extend(copies(package)?);
            violations.extend(readme(package));
            violations.extend(untold(package, &guide).map(|feature| {
                let what =
                    format!("no line on the feature {feature} in {FEATURES}; add it to the table");
                Violation::of(package, feature, what)
            }));
        }
    }
    let rust = program.rust_version.as_deref().unwrap_or_default();
    for (path, words) in RUST {
        let path = Path::new(path);
        if !files::read(path)?.contains(&format!("{words}{rust}")) {
            let what =
                format!("does not say \"{words}{rust}\", which is rust-version of Cargo.toml");
            violations.push(Violation::new(path, 1, what));
        }
    }
    Ok(violations)
}

/// What is wrong with a manifest, by its key.
fn manifest(package: &Package, program: &Package) -> Vec<(&'static str, String)> {
    let mut wrong = Vec::new();
    if package.version != program.version {
        let (found, expected) = (&package.version, &program.version);
        wrong.push(("version", format!("version {found}, where {PROGRAM} has {expected}")));
    }
    if package.rust_version != program.rust_version {
        wrong.push(("rust-version", format!("not the rust-version of {PROGRAM}")));
    }
    let is_internal = INTERNAL.contains(&package.name.as_str());
    let registries = package.publish.as_ref();
    if is_internal && package.is_published() {
        wrong.push((
            "publish",
            "no one publishes this; `publish.workspace = true` forbids it".into(),
        ));
    }
    if !is_internal && registries.is_none_or(|registries| registries != &[REGISTRY]) {
        wrong.push((
            "publish",
            format!("expected `publish = [\"{REGISTRY}\"]`, and no other registry"),
        ));
    }
    if !is_internal {
        wrong.extend(of_published(package, &program.version));
    }
    wrong
}

/// What crates.io and docs.rs would miss in the manifest of a package that may be published.
fn of_published(package: &Package, version: &str) -> Vec<(&'static str, String)> {
    let mut wrong = Vec::new();
    if package.description.as_ref().is_none_or(String::is_empty) {
        wrong.push(("description", "no description; say what it is".to_owned()));
    }
    if package.license.as_deref() != Some(LICENSE) {
        wrong.push(("license", format!("expected the license {LICENSE}")));
    }
    if package.readme.as_deref() != Some(Path::new("README.md")) {
        wrong.push(("readme", "expected a README.md of its own".to_owned()));
    }
    let documentation = format!("https://docs.rs/{}", package.name);
    if package.documentation.as_ref() != Some(&documentation) {
        wrong.push(("documentation", format!("expected documentation = \"{documentation}\"")));
    }
    for (key, words) in [("keywords", &package.keywords), ("categories", &package.categories)] {
        if !(1..=MOST_WORDS).contains(&words.len()) {
            wrong.push((key, format!("{} {key}; crates.io takes 1 to {MOST_WORDS}", words.len())));
        }
    }
    for word in package.keywords.iter().filter(|word| word.len() > LONGEST_WORD) {
        wrong.push(("keywords", format!("{word:?} is longer than {LONGEST_WORD} letters")));
    }
    let (asked, expected) = (package.docs_features(), documented(package));
    if asked.iter().copied().collect::<BTreeSet<_>>() != expected {
        let what = format!(
            "docs.rs is asked for the features {asked:?}, where {expected:?} are not on by default and need nothing; set \
             features in [package.metadata.docs.rs]"
        );
        wrong.push(("features", what));
    }
    // Cargo leaves out what a package uses of itself, or says no version of, if it is for tests only.
    let used = package.dependencies.iter().filter(|used| super::level(&used.name).is_some());
    let exact = format!("^{version}");
    for used in used.filter(|used| used.name != package.name && used.req != exact) {
        let what = format!("{} is wanted at {}, expected {exact}", used.name, used.req);
        wrong.push(("version", what));
    }
    wrong
}

/// The features that docs.rs should show: those that are not on anyway, and can be built there.
fn documented(package: &Package) -> BTreeSet<&str> {
    let by_default: Vec<&str> =
        package.features.get("default").into_iter().flatten().map(String::as_str).collect();
    let names = package.features.keys().map(String::as_str).filter(|name| *name != "default");
    names.filter(|name| !by_default.contains(name) && !UNDOCUMENTED.contains(name)).collect()
}

/// The features that have no line in the table of them.
fn untold<'a>(package: &'a Package, guide: &str) -> impl Iterator<Item = &'a str> {
    let names = package.features.keys().map(String::as_str).filter(|name| *name != "default");
    names.filter(move |name| !guide.lines().any(|line| line.starts_with(&format!("| `{name}`"))))
}

/// The licences beside the manifest are those of the repository.
fn copies(package: &Package) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for license in LICENSES {
        let found = files::read(&package.folder().join(license)).ok();
        if found.as_ref() != Some(&files::read(Path::new(license))?) {
            let what = format!("no copy of {license} beside it; `ln -s ../../{license}` makes one");
            violations.push(Violation::of(package, "", what));
        }
    }
    Ok(violations)
}

/// The README can be read on crates.io, where nothing else of the repository is.
fn readme(package: &Package) -> Vec<Violation> {
    let (manifest, _) = package.place_of("");
    let path = manifest.with_file_name("README.md");
    let Ok(text) = files::read(&path) else {
        return vec![Violation::of(package, "readme", "no README.md beside it; write one")];
    };
    let complaint = |(line, target): (usize, &str)| {
        let what = format!("a link to {target}, which crates.io has not; name it without a link");
        Violation::new(&path, line, what)
    };
    links::to_files(&text).map(complaint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;
    use serde_json::json;

    fn package(change: impl FnOnce(&mut Package)) -> Package {
        let mut package: Package = serde_json::from_value(json!({
            "name": "mflow-core",
            "version": "0.1.0",
            "rust_version": "1.95",
            "publish": ["crates-io"],
            "description": "Models",
            "license": "MIT OR Apache-2.0",
            "readme": "README.md",
            "documentation": "https://docs.rs/mflow-core",
            "keywords": ["manifold-learning"],
            "categories": ["science"],
            "features": { "default": ["images"], "images": [], "laws": [], "cuda": [] },
            "metadata": { "docs": { "rs": { "features": ["laws"] } } },
            "dependencies": [
                { "name": "mflow-bijectors", "req": "^0.1.0" },
                { "name": "mflow-core", "req": "*", "kind": "dev" },
            ],
        }))
        .unwrap();
        change(&mut package);
        package
    }

    /// The keys at which a changed package is wrong.
    fn wrong(change: impl FnOnce(&mut Package)) -> Vec<&'static str> {
        let changed = package(change);
        manifest(&changed, &package(|_| ())).into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn each_key_is_wanted() {
        assert_eq!(wrong(|_| ()), [""; 0]);
        assert_eq!(wrong(|package| package.description = None), ["description"]);
        assert_eq!(wrong(|package| package.license = Some("MIT".into())), ["license"]);
        assert_eq!(wrong(|package| package.readme = Some("../README.md".into())), ["readme"]);
        assert_eq!(wrong(|package| package.documentation = None), ["documentation"]);
        assert_eq!(wrong(|package| package.keywords.clear()), ["keywords"]);
        assert_eq!(wrong(|package| package.keywords[0].push_str("-and-more")), ["keywords"]);
        assert_eq!(wrong(|package| package.categories = vec!["science".into(); 6]), ["categories"]);
        assert_eq!(wrong(|package| package.rust_version = None), ["rust-version"]);
    }

    #[test]
    fn versions_agree() {
        assert_eq!(wrong(|package| package.version = "0.1.1".into()), ["version"]);
        let older = Dependency { name: "mflow-bijectors".into(), req: "*".into(), kind: None };
        assert_eq!(wrong(|package| package.dependencies.push(older)), ["version"]);
    }

    #[test]
    fn nothing_is_published_by_accident() {
        assert_eq!(wrong(|package| package.publish = None), ["publish"]);
        assert_eq!(wrong(|package| package.publish = Some(vec!["other".into()])), ["publish"]);
        assert_eq!(wrong(|package| package.name = "xtask".into()), ["publish"]);
        let internal = |package: &mut Package| {
            package.name = "mflow-benches".into();
            package.publish = Some(Vec::new());
            package.description = None;
        };
        assert_eq!(wrong(internal), [""; 0]);
    }

    #[test]
    fn users_are_told_of_features() {
        let untold = |guide| untold(&package(|_| ()), guide).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(untold("| `images` (default) |\n| `laws` |\nnot `cuda` |\n"), ["cuda"]);
    }

    #[test]
    fn docs_show_what_can_be_built_anywhere() {
        assert_eq!(wrong(|package| package.metadata = json!(null)), ["features"]);
        let cuda = json!({ "docs": { "rs": { "features": ["laws", "cuda"] } } });
        assert_eq!(wrong(|package| package.metadata = cuda), ["features"]);
    }
}
