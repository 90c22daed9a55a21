//! The licences of all packages of the program, and of what they embed, in one file for those who hand on a built program.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{FOLDER, Outcome, Release, program};
use crate::files;
use crate::metadata::{self, Package};
use crate::shell::Lock;

/// What the program embeds beside compiled Rust.
const EMBEDDED: &str = "crates/mflow/NOTICES.md";
/// What the reader of many texts has to know.
const CHOICE: &str = "Below are the texts that packages bring, under the names of those that bring them. Some bring texts of licences that one may\n\
    choose from, or of parts that are not compiled; the expression behind a name is what holds for it.";
/// How names of files with licences begin, in capitals.
const NAMES: [&str; 5] = ["LICEN", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// Writes the file.
pub(super) fn check(_: &Release) -> Result<Outcome> {
    let parts = program::parts()?;
    let all = metadata::load_all(Lock::Locked)?.packages;
    // By their text, as most are the same.
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut without = Vec::new();
    for package in all
        .iter()
        .filter(|package| parts.contains_key(&(package.name.clone(), package.version.clone())))
    {
        let (name, found) = (title(package), licenses(package.folder())?);
        if found.is_empty() {
            without.push(format!("{name}, {}", package.authors.join(", ")));
        }
        for path in found {
            let users = texts.entry(read(&path)?).or_default();
            if !users.contains(&name) {
                users.push(name.clone());
            }
        }
    }
    let path = Path::new(FOLDER).join("NOTICES.txt");
    files::write(&path, document(&files::read(Path::new(EMBEDDED))?, &texts, &without).as_bytes())?;
    Ok(Outcome::Good(format!(
        "{}: {} texts; {} packages have none and are named",
        path.display(),
        texts.len(),
        without.len()
    )))
}

fn title(package: &Package) -> String {
    let license = package.license.as_deref().unwrap_or("no licence");
    format!("{} {} ({license})", package.name, package.version)
}

/// A text, with line ends as here.
fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).replace("\r\n", "\n").trim().to_owned())
}

/// The files with licences in a folder and those below it, in order.
fn licenses(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(licenses(&path)?);
        } else if is_license(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn is_license(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
    let is_code = [".RS", ".C", ".H", ".JS", ".PY", ".TOML"].iter().any(|end| name.ends_with(end));
    NAMES.iter().any(|begin| name.starts_with(begin)) && !is_code
}

fn document(embedded: &str, texts: &BTreeMap<String, Vec<String>>, without: &[String]) -> String {
    let rule = "=".repeat(80);
    let mut document = format!("{}\n\n{CHOICE}\n", embedded.trim());
    for (text, users) in texts {
        document += &format!("\n{rule}\n{}\n{rule}\n\n{text}\n", users.join("\n"));
    }
    let list = without.iter().map(|name| format!("{name}\n")).collect::<String>();
    document
        + &format!(
            "\n{rule}\nPackages that come without a text of their licence, and their authors\n{rule}\n\n{list}"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_are_told_from_code() {
        let is = |name: &str| is_license(Path::new(name));
        for name in [
            "LICENSE",
            "license-mit",
            "LICENSE.Apache-2.0",
            "COPYING",
            "UNLICENSE",
            "fonts/LICENCE.txt",
        ] {
            assert!(is(name), "{name}");
        }
        for name in ["license.rs", "README.md", "licenses.toml", "my-license"] {
            assert!(!is(name), "{name}");
        }
    }

    #[test]
    fn a_text_is_written_once() {
        let texts = BTreeMap::from([(
            "Do.".to_owned(),
            vec!["a 1 (MIT)".to_owned(), "b 2 (MIT)".to_owned()],
        )]);
        let document = document("# Notices\n", &texts, &["c 3 (MIT), me".to_owned()]);
        assert!(document.starts_with("# Notices\n\nBelow"), "{document}");
        assert!(document.contains("=\na 1 (MIT)\nb 2 (MIT)\n="), "{document}");
        assert_eq!(document.matches("Do.").count(), 1);
        assert!(document.ends_with("=\n\nc 3 (MIT), me\n"), "{document}");
    }
}
