//! The page about fuzzing.

use std::path::Path;

use anyhow::Result;

use super::NOTES;
use super::record::{Record, Records};
use super::work::{ALLOCATION, LENGTH, MEMORY, TIMEOUT};
use crate::files;
use crate::number::short;
use crate::provenance::Provenance;
use crate::table::Table;

/// What came of each target.
pub(super) fn table(records: &Records) -> Table {
    let mut table = Table::new([
        "target",
        "minutes",
        "executions",
        "per second",
        "edges",
        "features",
        "memory, MiB",
        "corpus",
        "commit",
    ]);
    for (name, record) in &records.0 {
        let Record { seconds, executions, edges, features, memory, kept, commit, dirty, .. } =
            record;
        table.push([
            name.clone(),
            format!("{:.1}", seconds / 60.),
            executions.to_string(),
            short(*executions as f64 / seconds),
            edges.to_string(),
            features.to_string(),
            memory.to_string(),
            kept.to_string(),
            Provenance::commit_text(commit, *dirty)
                .replace(" with uncommitted changes", " and changes"),
        ]);
    }
    table
}

/// Writes the page.
pub(super) fn write(path: &Path, records: &Records, provenance: &Provenance) -> Result<()> {
    let Provenance { commit, dirty, date, machine, command } = provenance;
    let commit = Provenance::commit_text(commit, *dirty);
    let (table, notes) = (table(records).markdown(), files::read(Path::new(NOTES))?);
    let text = format!(
        "# Readers under a fuzzer

Written by `{command}` on {date}, commit {commit}, on {machine}.

Each target feeds one reader with whatever libFuzzer comes up with, and asserts what has to hold: no panic, the same after it was
written and read again, errors that name the file and command no terminal. A process has {MEMORY} MiB of memory, an
allocation at most {ALLOCATION} MiB, an input {TIMEOUT} seconds and {LENGTH} bytes; more of any is a finding. How to run it is in
[testing](../testing.md#fuzzing), the limits on files are in [limits](../limits.md).

## The last session of each target that found nothing

*Edges* are places in the code that were reached, the code of all crates under the target included. *Memory* is the most that the
process had, with the fuzzer's own. *Corpus* is how many inputs are committed. What other sessions found is below.

{table}
{notes}"
    );
    files::write(path, text.as_bytes())?;
    println!("saved in {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_executions_per_second() {
        let record = Record {
            seconds: 120.,
            executions: 600,
            edges: 7,
            features: 8,
            memory: 9,
            kept: 10,
            commit: "abc".to_owned(),
            dirty: true,
            date: String::new(),
        };
        let mut records = Records::default();
        records.put("npy".to_owned(), record);
        let text = table(&records).markdown();
        let last = text.lines().last().unwrap().split('|').map(str::trim).collect::<Vec<_>>();
        let expected = ["npy", "2.0", "600", "5.0", "7", "8", "9", "10", "`abc` and changes"];
        assert_eq!(last[1..10], expected, "{text}");
    }
}
