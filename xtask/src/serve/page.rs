//! The page about services under load.

use std::path::Path;

use anyhow::Result;

use super::load::{Load, Speed, Watched};
use crate::files;
use crate::number::short;
use crate::provenance::Provenance;
use crate::table::Table;

fn table(speeds: &[Speed]) -> Table {
    let mut table = Table::new([
        "rows of a question",
        "library, rows/s",
        "JSON, rows/s",
        "of the library",
        "median, ms",
        "p99, ms",
        ".npy, rows/s",
        "of the library",
        "median, ms",
        "p99, ms",
    ]);
    for Speed { rows, library, service } in speeds {
        let per_second = |questions: f64| format!("{:.0}", questions * *rows as f64);
        let mut row = vec![rows.to_string(), per_second(*library)];
        for Load { per_second: questions, median, p99 } in *service {
            row.extend([
                per_second(questions),
                format!("{:.2}", questions / library),
                short(median),
                short(p99),
            ]);
        }
        table.push(row);
    }
    table
}

fn memory(watched: &Watched) -> String {
    let Watched { minutes, memory, answers, hostile } = watched;
    let at = |i: usize| memory.get(i).copied().unwrap_or(f64::NAN);
    let most = memory.iter().copied().fold(f64::NAN, f64::max);
    format!(
        "In {minutes:.0} minutes of load it answered {answers:.0} questions of 100 rows, half of them JSON, and refused {hostile} \
         hostile requests. Its memory was {:.1} MiB after the first minute, {:.1} MiB in the middle, {:.1} MiB at the end, and \
         {most:.1} MiB at most.",
        at(0),
        at(memory.len() / 2),
        at(memory.len().saturating_sub(1)),
    )
}

/// Prints what was measured.
pub(super) fn show(speeds: &[Speed], watched: &Watched) {
    println!("\n{}\n{}", table(speeds).text(), memory(watched));
}

/// Writes the page.
pub(super) fn write(
    path: &Path,
    speeds: &[Speed],
    watched: &Watched,
    provenance: &Provenance,
) -> Result<()> {
    let Provenance { commit, dirty, date, machine, command } = provenance;
    let commit = Provenance::commit_text(commit, *dirty);
    let (table, memory) = (table(speeds).markdown(), memory(watched));
    let text = format!(
        "# A service under load

Written by `{command}` on {date}, commit {commit}, on {machine}.

How to start one is in the [guide](../how-to/serve.md). The model is an M-flow of default size, of data in 3 dimensions and
a manifold of 2. A question is /score: log-density, distance to the manifold and latents of some rows. *Library* scores the same
rows on 2 threads, each a batch at a time, without reading or writing any text. The service has 2 threads too, and 8
connections ask it by `wrk`, which takes its part of the same cores. All were measured in turns.

{table}
{memory}
"
    );
    files::write(path, text.as_bytes())?;
    println!("saved in {}", path.display());
    Ok(())
}
