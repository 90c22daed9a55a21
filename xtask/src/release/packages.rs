//! Of the packages: their names, what is in them, and that they can be built from it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{Outcome, Release};
use crate::metadata::Package;
use crate::shell::{self, Lock::Locked};
use crate::tidy;

/// What crates.io takes at most.
const MOST_BYTES: u64 = 10 << 20;

/// What cargo says of a name that no package has.
const FREE: &str = "could not find";

/// No one else has the names.
pub(super) fn names(release: &Release) -> Result<Outcome> {
    let mut taken = Vec::new();
    for Package { name, .. } in &release.packages {
        // Without a registry, cargo would show the package of this workspace.
        let asked =
            shell::read(&mut shell::cargo(&format!("info {name} --registry crates-io"), Locked));
        match asked.map_err(|error| format!("{error:#}")) {
            Ok(_) => taken.push(name.as_str()),
            Err(said) if said.contains(FREE) => {}
            Err(said) => {
                println!("{said}");
                return Ok(Outcome::not_checked(
                    "crates.io does not answer",
                    "see above; try again",
                ));
            }
        }
    }
    let all = release.packages.iter().map(|package| package.name.as_str()).collect::<Vec<_>>();
    Ok(if taken.is_empty() {
        Outcome::Good(format!("free on crates.io: {}", all.join(", ")))
    } else {
        let taken = taken.join(", ");
        Outcome::open(
            format!("on crates.io already: {taken}"),
            "`cargo owner --list NAME`: are they yours?",
        )
    })
}

/// Each package has what belongs into any.
pub(super) fn contents(release: &Release) -> Result<Outcome> {
    let mut count = 0;
    for Package { name, .. } in &release.packages {
        let list = format!("package --list --allow-dirty -p {name}");
        let listed = shell::read(&mut shell::cargo(&list, Locked))?;
        let lacking = lacking(&listed);
        ensure!(lacking.is_empty(), "the package {name} lacks {}", lacking.join(", "));
        count += listed.lines().count();
    }
    Ok(Outcome::Good(format!("{count} files, with licences and a README in each package")))
}

fn lacking(listed: &str) -> Vec<&'static str> {
    let wanted = tidy::LICENSES.into_iter().chain(["README.md", "Cargo.toml", "Cargo.lock"]);
    wanted.filter(|file| !listed.lines().any(|line| line == *file)).collect()
}

/// Cargo would publish all packages, and each can be built from nothing but what is in it and what is published before it.
pub(super) fn pack(release: &Release) -> Result<Outcome> {
    shell::run(&mut shell::cargo("publish --dry-run --workspace --no-verify", Locked))?;
    // Unlike the dry run, this leaves the packages behind.
    let mut package = shell::cargo("package", Locked);
    for Package { name, .. } in &release.packages {
        package.args(["-p", name]);
    }
    // Else each package would be built in a folder of its own, with all that it depends on.
    shell::run(package.env("CARGO_TARGET_DIR", &release.target))?;
    let sizes = release.packages.iter().map(|package| size(package, &release.target));
    Ok(Outcome::Good(sizes.collect::<Result<Vec<_>>>()?.join(", ")))
}

/// Name and size of a package.
fn size(package: &Package, target: &Path) -> Result<String> {
    let Package { name, version, .. } = package;
    let path = target.join(format!("package/{name}-{version}.crate"));
    let bytes = fs::metadata(&path).with_context(|| format!("no file {}", path.display()))?.len();
    ensure!(
        bytes <= MOST_BYTES,
        "{name} has {bytes} bytes, more than the {MOST_BYTES} of crates.io"
    );
    Ok(format!("{name} {} KiB", bytes.div_ceil(1024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_licence_is_found() {
        let whole = "Cargo.lock\nCargo.toml\nLICENSE-APACHE\nLICENSE-MIT\nREADME.md\nsrc/lib.rs\n";
        assert_eq!(lacking(whole), [""; 0]);
        assert_eq!(lacking(&whole.replace("LICENSE-MIT", "docs/LICENSE-MIT")), ["LICENSE-MIT"]);
    }
}
