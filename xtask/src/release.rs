//! `cargo xtask release`: what must be true before a person publishes the crates, cheapest first, in one table.

mod notices;
mod packages;
mod program;
mod repository;
mod sbom;
mod tools;

use anyhow::{Result, ensure};
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::metadata::{self, Package};
use crate::shell::Lock;
use crate::table::Table;
use crate::{docs, number, tidy};

/// Where files are written that go with a release.
const FOLDER: &str = "target/release-files";

/// Options of `cargo xtask release`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The revision whose interfaces are compared with these: by default the last tag v*
    #[arg(long, value_name = "REVISION")]
    baseline: Option<String>,
    /// Only this step; again for more
    #[arg(long = "step", value_name = "NAME", value_parser = PossibleValuesParser::new(STEPS.map(|step| step.name)))]
    steps: Vec<String>,
}

/// How a step ended that did not fail.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// What was found, as it should be.
    Good(String),
    /// What a person has yet to settle, and how.
    Open { what: String, next: String },
    /// Why nothing could be found out, and how that is mended.
    NotChecked { why: String, next: String },
}

impl Outcome {
    fn open(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::Open { what: what.into(), next: next.into() }
    }

    fn not_checked(why: impl Into<String>, next: impl Into<String>) -> Self {
        Self::NotChecked { why: why.into(), next: next.into() }
    }
}

struct Step {
    name: &'static str,
    check: fn(&Release) -> Result<Outcome>,
    /// What to do where it fails.
    mend: &'static str,
}

const STEPS: [Step; 15] = [
    Step {
        name: "tree",
        check: |_| repository::tree(),
        mend: "commit: what is published must be a commit",
    },
    Step {
        name: "rules",
        check: |_| {
            tidy::run()?;
            Ok(Outcome::Good(
                "versions, metadata, licences, layers, links: `cargo xtask tidy`".into(),
            ))
        },
        mend: "mend what `cargo xtask tidy` lists",
    },
    Step { name: "changelog", check: repository::changelog, mend: "mend CHANGELOG.md" },
    Step {
        name: "address",
        check: |release| Ok(repository::address(release)),
        mend: "set `repository` in [workspace.package] of Cargo.toml",
    },
    Step {
        name: "rust",
        check: repository::rust,
        mend: "install the Rust that rust-version names",
    },
    Step { name: "names", check: packages::names, mend: "take other names" },
    Step {
        name: "contents",
        check: packages::contents,
        mend: "see `include` and `exclude` in the package's Cargo.toml",
    },
    Step { name: "sbom", check: sbom::check, mend: "see what `cargo tree` says" },
    Step { name: "notices", check: notices::check, mend: "see what `cargo metadata` says" },
    Step {
        name: "deny",
        check: |_| tools::deny(),
        mend: "take another dependency, or allow this one in deny.toml and say why",
    },
    Step {
        name: "advisories",
        check: |_| tools::advisories(),
        mend: "update the dependency, or ignore the advisory in deny.toml and say why",
    },
    Step {
        name: "docs",
        check: |_| Ok(Outcome::Good(format!("no warnings, with the features {}", docs::run()?))),
        mend: "mend the documentation",
    },
    Step { name: "packages", check: packages::pack, mend: "mend what cargo says above" },
    Step {
        name: "interfaces",
        check: tools::interfaces,
        mend: "raise the version as the changes demand, or take them back",
    },
    Step { name: "program", check: tools::program, mend: "mend the release build" },
];

/// What the steps look at.
struct Release {
    /// The revision to compare interfaces with, if one was given.
    baseline: Option<String>,
    /// The packages that may be published, each behind those that it uses.
    packages: Vec<Package>,
    /// The version of all of them.
    version: String,
    /// Where cargo puts packages.
    target: std::path::PathBuf,
}

/// Makes the steps and prints what came of each. A step that fails stops no other one.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut workspace = metadata::load(Lock::Locked)?;
    workspace.packages.retain(Package::is_published);
    workspace.packages.sort_by_key(|package| tidy::level(&package.name));
    let release = Release {
        baseline: options.baseline.clone(),
        version: workspace.packages.first().map_or_else(String::new, |first| first.version.clone()),
        packages: workspace.packages,
        target: workspace.target_directory,
    };
    let asked = |step: &&Step| {
        options.steps.is_empty() || options.steps.iter().any(|name| name == step.name)
    };
    let mut summary = Summary::new();
    for step in STEPS.iter().filter(asked) {
        println!("\n=== {} ===", step.name);
        let start = std::time::Instant::now();
        let result = (step.check)(&release);
        let took = number::seconds(start.elapsed().as_secs_f64());
        if let Err(error) = &result {
            println!("{error:#}");
        }
        summary.add(step, &took, result);
    }
    println!("\n{}", summary.table.words());
    let left_out = STEPS.len() - STEPS.iter().filter(asked).count();
    if left_out > 0 {
        println!("{left_out} steps were not asked for.");
    }
    ensure!(summary.failed.is_empty(), "not ready: failed: {}", summary.failed.join(", "));
    println!("{}", closing(&summary, left_out, &release.version));
    Ok(())
}

/// What the steps came to.
struct Summary {
    table: Table,
    failed: Vec<&'static str>,
    /// Open, or not checked.
    unsettled: Vec<&'static str>,
}

impl Summary {
    fn new() -> Self {
        let table = Table::new(["step", "seconds", "result", "what was found, and what to do"]);
        Self { table, failed: Vec::new(), unsettled: Vec::new() }
    }

    fn add(&mut self, step: &Step, took: &str, result: Result<Outcome>) {
        let (verdict, found, next) = match result {
            Ok(Outcome::Good(found)) => ("ok", found, None),
            Ok(Outcome::Open { what, next }) => ("OPEN", what, Some(next)),
            Ok(Outcome::NotChecked { why, next }) => ("NOT CHECKED", why, Some(next)),
            Err(error) => {
                self.failed.push(step.name);
                ("FAILED", brief(&format!("{error:#}")), Some(step.mend.to_owned()))
            }
        };
        if matches!(verdict, "OPEN" | "NOT CHECKED") {
            self.unsettled.push(step.name);
        }
        self.table.push([step.name, took, verdict, &found]);
        if let Some(next) = next {
            self.table.push(["", "", "", &format!("-> {next}")]);
        }
    }
}

/// As much of an error as goes into a table; all of it is above.
fn brief(error: &str) -> String {
    const MOST: usize = 100;
    let line = error.lines().next().unwrap_or_default();
    let end = if line.chars().count() > MOST { ".." } else { "" };
    line.chars().take(MOST).collect::<String>() + end
}

/// What is left to a person.
fn closing(summary: &Summary, left_out: usize, version: &str) -> String {
    let mut text = String::new();
    if !summary.unsettled.is_empty() {
        text = format!(
            "Not settled: {}. A person decides whether that may be.\n",
            summary.unsettled.join(", ")
        );
    }
    if left_out == 0 {
        text += &format!(
            "Nothing failed. What is left is a person's, see docs/releasing.md: `cargo xtask ci` passes at this commit; then\n  \
             cargo publish --workspace --locked   # cannot be taken back\n  \
             git tag v{version}"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn nothing_passes_in_silence() {
        let mut summary = Summary::new();
        let [tree, rules, changelog, address] = [0, 1, 2, 3].map(|i| &STEPS[i]);
        summary.add(tree, "1", Ok(Outcome::Good("clean".into())));
        summary.add(rules, "1", Err(anyhow!("2 violations\nmore")));
        summary.add(changelog, "1", Ok(Outcome::open("no day", "set one")));
        summary.add(address, "1", Ok(Outcome::not_checked("no tool", "install it")));
        assert_eq!(summary.failed, ["rules"]);
        assert_eq!(summary.unsettled, ["changelog", "address"]);
        let text = summary.table.words();
        for part in [
            "ok           clean\n",
            "FAILED       2 violations\n",
            "-> mend what",
            "OPEN         no day\n",
            "NOT CHECKED  no tool\n",
            "-> install it\n",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(closing(&summary, 0, "0.1.0").starts_with("Not settled: changelog, address."));
    }
}
