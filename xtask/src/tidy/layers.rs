//! The crates are a strict stack: each may use those below it.

use super::Violation;
use crate::metadata::Package;

/// The stack from its foot, and above it what may use all of it.
pub(crate) const STACK: [&str; 9] = [
    "mflow-bijectors",
    "mflow-core",
    "mflow-train",
    "mflow-data",
    "mflow-eval",
    "mflow",
    "mflow-python",
    "mflow-benches",
    "mflow-fuzz",
];

/// Checks the dependencies (normal, dev and build) of all members.
pub(super) fn check(packages: &[Package]) -> Vec<Violation> {
    packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Violation> {
    if package.name != "xtask" && level(&package.name).is_none() {
        let what = format!("crate {} has no layer; place it in STACK of {}", package.name, file!());
        return vec![Violation::of(package, "", what)];
    }
    let forbidden = package.dependencies.iter().filter_map(|dependency| {
        let what = complaint(&package.name, &dependency.name)?;
        Some(Violation::of(package, &dependency.name, what))
    });
    forbidden.collect()
}

/// What is wrong with `package` using `dependency`, if anything is.
fn complaint(package: &str, dependency: &str) -> Option<String> {
    if dependency == "xtask" {
        return Some(format!("{package} depends on xtask; nothing may"));
    }
    let below = match (level(package), level(dependency)) {
        // xtask, which must build in seconds.
        (None, used) => used.is_none() && !dependency.starts_with("candle"),
        (Some(_), None) => true,
        // A crate is its own development dependency where its tests need one of its features.
        (Some(user), Some(used)) => used < user || package == dependency,
    };
    let order = STACK.join(" < ");
    (!below).then(|| match level(package) {
        None => format!("xtask depends on {dependency}; keep it free of mflow and candle crates"),
        Some(_) => format!(
            "{package} depends on {dependency}, which is not below it; move the code down or up ({order})"
        ),
    })
}

/// Where a crate is in the stack, from its foot.
pub(crate) fn level(name: &str) -> Option<usize> {
    STACK.iter().position(|layer| *layer == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Dependency;

    fn package(name: &str, dependencies: &[&str]) -> Package {
        let named = |name: &&str| Dependency { name: (*name).to_owned(), ..Dependency::default() };
        let dependencies = dependencies.iter().map(named).collect();
        Package { name: name.to_owned(), dependencies, ..Package::default() }
    }

    fn count(name: &str, dependencies: &[&str]) -> usize {
        check(&[package(name, dependencies)]).len()
    }

    #[test]
    fn only_what_is_below_may_be_used() {
        assert_eq!(count("mflow-train", &["mflow-core", "mflow-bijectors", "candle-core"]), 0);
        assert_eq!(count("mflow-benches", &["mflow", "mflow-eval"]), 0);
        assert_eq!(count("mflow-core", &["mflow-train", "mflow"]), 2);
        assert_eq!(count("mflow", &["mflow-benches", "xtask"]), 2);
        assert_eq!(count("mflow-core", &["mflow-core"]), 0, "its tests need a feature of it");
    }

    #[test]
    fn xtask_stays_light() {
        assert_eq!(count("xtask", &["toml", "serde"]), 0);
        assert_eq!(count("xtask", &["mflow-core", "candle-nn"]), 2);
    }

    #[test]
    fn a_new_crate_must_be_placed() {
        let violations = check(&[package("mflow-extra", &[])]);
        assert!(violations[0].to_string().contains("place it in STACK"), "{violations:?}");
    }
}
