//! The page about what runs survive.

use std::path::Path;

use anyhow::Result;

use super::disk::Withstood;
use super::kills::Survived;
use crate::files;
use crate::number::seconds;
use crate::provenance::Provenance;
use crate::table::Table;

/// Cases that were disturbed until they ended.
pub(super) fn survived(all: &[Survived]) -> Table {
    let mut table = Table::new([
        "case",
        "s",
        "kill -9",
        "SIGTERM",
        "power cut",
        "cut, names kept",
        "cut, lengths kept",
        "starts",
        "finished runs",
        "same bytes",
    ]);
    for case in all {
        let mut row = vec![case.name.clone(), seconds(case.seconds)];
        row.extend(case.hits.iter().map(usize::to_string));
        row.extend([case.starts.to_string(), case.runs.to_string(), "all".to_owned()]);
        table.push(row);
    }
    let sum = |of: &dyn Fn(&Survived) -> usize| all.iter().map(of).sum::<usize>().to_string();
    let mut row = vec!["all".to_owned(), String::new()];
    row.extend((0..super::kills::KINDS.len()).map(|kind| sum(&|case| case.hits[kind])));
    row.extend([sum(&|case| case.starts), sum(&|case| case.runs), "all".to_owned()]);
    table.push(row);
    table
}

/// Commands whose disk failed.
pub(super) fn withstood(all: &[Withstood]) -> Table {
    let mut table = Table::new([
        "command",
        "full",
        "full within a write",
        "cannot sync",
        "refuses changes",
        "errors name the file",
        "same bytes afterwards",
    ]);
    for command in all {
        let mut row = vec![command.name.clone()];
        row.extend(command.at_calls.iter().map(usize::to_string));
        row.extend([command.refused.to_string(), "all".to_owned(), "all".to_owned()]);
        table.push(row);
    }
    table
}

/// Writes it.
pub(super) fn write(
    path: &Path,
    (survived, withstood, checked): (&[Survived], &[Withstood], &[String]),
    provenance: &Provenance,
) -> Result<()> {
    let Provenance { commit, dirty, date, machine, command } = provenance;
    let commit = Provenance::commit_text(commit, *dirty);
    let checks: String = checked.iter().map(|line| format!("- {line}\n")).collect();
    let total: usize = survived.iter().flat_map(|case| case.hits).sum();
    let tables = (self::survived(survived).markdown(), self::withstood(withstood).markdown());
    let text = format!(
        "# What runs survive

Written by `{command}` on {date}, commit {commit}, on {machine}. A failure of any part ends that command with an error, and
this page is not written.

How to run it, and how a disk is made to fail, is in [testing](../testing.md#a-soak).

## Killed

{total} disturbances at random moments, which a seed gives. Each case runs once undisturbed. Then it is started, disturbed and
started again until it ends, and all files in its folder have the bytes of the undisturbed run, but for seconds, the page
`report.html` and the checkpoint, which are whole; no parts of files are left. *s* is what an undisturbed run takes. A power cut
leaves what was synced, of names too; with *names kept* all names are there, and files have what was synced; with *lengths kept*
the rest of them is zero bytes. What cannot go on, as `sample`, starts anew; killed, it may leave a hidden file `.NAME.PID.COUNT.tmp`,
and never a part under the name of the whole.

{}
## Disks that fail

The disk is full, cannot sync or refuses all changes, from one call on: one run for each call that changes the disk, of slow
commands for one of several, and the numbers are those of failures. Each ends with exit code 1 and an error that names the file
and the reason, but for names of files that are in place and cannot be synced, of which nobody is told. None leaves a file that only
looks whole, and the same command with space again ends with the bytes of a run without failure. In each command's last runs power
goes right after the end, which loses nothing, and the clock jumps a year back and a year forth, which changes nothing.

{}
## Other accidents

{checks}",
        tables.0, tables.1
    );
    files::write(path, text.as_bytes())
}
