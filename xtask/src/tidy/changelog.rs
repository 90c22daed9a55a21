//! The changelog: its first section is what comes next, or the version of the program; versions have their day.

use std::path::Path;

use super::{Violation, packages};
use crate::metadata::Package;

/// Where changes are written.
pub(crate) const CHANGELOG: &str = "CHANGELOG.md";

const NEXT: &str = "Unreleased";

/// What the changelog says of a version.
#[derive(Debug, PartialEq)]
pub(crate) enum State {
    /// It has a section, with this day.
    Dated(String),
    /// It has none, and changes wait for one.
    Unreleased,
}

/// What the changelog says of `version`.
pub(crate) fn state(text: &str, version: &str) -> State {
    let mut days = sections(text).filter_map(|(_, title)| dated(title));
    days.find(|(found, _)| *found == version)
        .map_or(State::Unreleased, |(_, day)| State::Dated(day.to_owned()))
}

/// Checks the titles of the sections, with the version of the program among `members`.
pub(super) fn check(text: &str, members: &[Package]) -> Vec<Violation> {
    let version = packages::program(members).map_or("", |program| &program.version);
    let complaint = |(i, (line, title)): (usize, (usize, &str))| {
        let what = match dated(title) {
            Some((found, _)) if i == 0 && found != version => {
                format!(
                    "the first section is {found}, but Cargo.toml has {version}; add \"{NEXT}\" or set the version"
                )
            }
            None if title != NEXT || i > 0 => {
                format!(
                    "a section {title:?}; expected \"{NEXT}\", as the first, or \"VERSION - YEAR-MONTH-DAY\""
                )
            }
            _ => return None,
        };
        Some(Violation::new(Path::new(CHANGELOG), line, what))
    };
    sections(text).enumerate().filter_map(complaint).collect()
}

/// The titles of the sections, with their lines.
fn sections(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter_map(|(line, text)| Some((line, text.strip_prefix("## ")?)))
}

/// Version and day of a title.
fn dated(title: &str) -> Option<(&str, &str)> {
    let (version, day) = title.split_once(" - ")?;
    let is_number =
        |text: &str| !text.is_empty() && text.chars().all(|digit| digit.is_ascii_digit());
    let is_day = day.split('-').map(str::len).eq([4, 2, 2]) && day.split('-').all(is_number);
    let (core, _) = version.split_once('-').unwrap_or((version, ""));
    (is_day && core.split('.').count() == 3 && core.split('.').all(is_number))
        .then_some((version, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let program = Package {
            name: packages::PROGRAM.to_owned(),
            version: "0.2.0".to_owned(),
            ..Package::default()
        };
        check(text, &[program]).iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn versions_have_their_day() {
        assert_eq!(lines("# Log\n## Unreleased\n### Added\n## 0.1.0 - 2026-01-31\n"), [0; 0]);
        assert_eq!(lines("## 0.2.0 - 2026-02-01\n## 0.1.0 - 2026-01-31\n"), [0; 0]);
        assert_eq!(
            lines("## Unreleased\n## 0.1.0\n## 0.1 - 2026-01-31\n## 0.0.9 - May\n"),
            [2, 3, 4]
        );
    }

    #[test]
    fn the_first_section_is_the_next_version_or_that_of_the_program() {
        assert_eq!(lines("## 0.1.0 - 2026-01-31\n"), [1]);
        assert_eq!(lines("## 0.2.0 - 2026-02-01\n## Unreleased\n"), [2]);
    }

    #[test]
    fn a_version_is_dated_or_unreleased() {
        let text = "## Unreleased\n## 0.1.0 - 2026-01-31\n";
        assert_eq!(state(text, "0.1.0"), State::Dated("2026-01-31".to_owned()));
        assert_eq!(state(text, "0.2.0"), State::Unreleased);
    }
}
