//! Where numbers come from: commit, day, machine and command.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{files, shell};

/// In a pack, what its programs were built of.
const ORIGIN: &str = "origin.json";

#[derive(Deserialize, Serialize)]
struct Origin {
    commit: String,
    dirty: bool,
}

/// What is written beside every number that is kept.
#[derive(Clone, Debug)]
pub(crate) struct Provenance {
    /// The commit that is checked out.
    pub(crate) commit: String,
    /// Whether anything but the results in docs differs from that commit.
    pub(crate) dirty: bool,
    /// The day, in UTC.
    pub(crate) date: String,
    /// Processor and number of cores.
    pub(crate) machine: String,
    /// What was typed.
    pub(crate) command: String,
}

impl Provenance {
    /// Of this call of xtask, here and now.
    pub(crate) fn here() -> Result<Self> {
        let git = |arguments: &[&str]| shell::read(Command::new("git").args(arguments));
        Self::of(Origin {
            commit: git(&["rev-parse", "--short=12", "HEAD"])?.trim().to_owned(),
            // Recording changes docs/ between one run and the next.
            dirty: !git(&["status", "--porcelain", "--", ".", ":!docs"])?.is_empty(),
        })
    }

    /// Of this call of a packed xtask, where there may be no git.
    pub(crate) fn packed(pack: &Path) -> Result<Self> {
        Self::of(files::read_json(&pack.join(ORIGIN))?)
    }

    /// Leaves in a pack what its programs were built of.
    pub(crate) fn pack(&self, pack: &Path) -> Result<()> {
        let Self { commit, dirty, .. } = self.clone();
        let origin = serde_json::to_string(&Origin { commit, dirty }).context("writing JSON")?;
        files::write(&pack.join(ORIGIN), origin.as_bytes())
    }

    fn of(origin: Origin) -> Result<Self> {
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
        let days = i64::try_from(now.as_secs() / 86_400).context("the clock is far off")?;
        let words = std::iter::once("cargo xtask".to_owned()).chain(std::env::args().skip(1));
        Ok(Self {
            commit: origin.commit,
            dirty: origin.dirty,
            date: date(days),
            machine: machine(),
            command: words.collect::<Vec<_>>().join(" "),
        })
    }

    /// The commit, with a word on changes that it does not have.
    pub(crate) fn commit_text(commit: &str, dirty: bool) -> String {
        format!("`{commit}`{}", if dirty { " with uncommitted changes" } else { "" })
    }
}

/// Year-month-day of the days since 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn date(days: i64) -> String {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // Only Linux has this file; elsewhere the architecture has to do.
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    format!("{}, {cores} cores", model.unwrap_or(std::env::consts::ARCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(19_782), "2024-02-29");
        assert_eq!(date(20_453), "2025-12-31");
    }
}
