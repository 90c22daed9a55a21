//! The page about files that need not fit in memory.

use std::path::Path;

use anyhow::Result;

use super::Measured;
use crate::files;
use crate::number::{seconds, short};
use crate::provenance::Provenance;
use crate::table::Table;

/// Rows that are extrapolated to.
const FAR: u64 = 100_000_000;

/// What is measured, and on paper what more rows take: a straight line through the last two of a verb.
pub(super) fn table(all: &[Measured]) -> Table {
    let mut table = Table::new(["verb", "rows", "seconds", "rows/s", "memory, MiB"]);
    let mut verbs: Vec<&str> = vec![];
    for measured in all {
        if !verbs.contains(&measured.verb) {
            verbs.push(measured.verb);
        }
    }
    for verb in verbs {
        let of_verb: Vec<&Measured> = all.iter().filter(|m| m.verb == verb).collect();
        for m in &of_verb {
            let per_second = short(m.rows as f64 / m.seconds);
            let memory = format!("{:.0}", m.memory);
            table.push([
                verb.to_owned(),
                m.rows.to_string(),
                seconds(m.seconds),
                per_second,
                memory,
            ]);
        }
        if let [.., before, last] = of_verb.as_slice() {
            let far = |a: f64, b: f64| {
                let slope = (b - a) / (last.rows - before.rows) as f64;
                b + slope * (FAR - last.rows.min(FAR)) as f64
            };
            let (time, memory) =
                (far(before.seconds, last.seconds), far(before.memory, last.memory));
            table.push([
                verb.to_owned(),
                format!("{FAR}, on paper"),
                seconds(time),
                short(FAR as f64 / time),
                format!("{memory:.0}"),
            ]);
        }
    }
    table
}

/// Writes the page.
pub(super) fn write(path: &Path, all: &[Measured], provenance: &Provenance) -> Result<()> {
    let Provenance { commit, dirty, date, machine, command } = provenance;
    let commit = Provenance::commit_text(commit, *dirty);
    let table = table(all).markdown();
    let text = format!(
        "# Files that need not fit in memory

Written by `{command}` on {date}, commit {commit}, on {machine}.

How to use them is in the [guide](../how-to/large-data.md). The model is an M-flow of default size, of the polynomial
surface: 3 columns, a manifold of 2 dimensions, in f32, on all cores. *Memory* is the most that the process had at any time. The rows *on paper* lie on
the straight line through the two measured before them.

{table}
A fit keeps the coordinates of all rows in memory while it trains the density on them, and for each row its place in the order of
an epoch, so that its memory grows with the rows; that of the other two does not.
"
    );
    files::write(path, text.as_bytes())?;
    println!("saved in {}", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_paper_lies_on_the_line() {
        let measured = |rows, seconds, memory| Measured { verb: "score", rows, seconds, memory };
        let all = [
            measured(1_000, 5., 9.),
            measured(1_000_000, 2., 100.),
            measured(10_000_000, 11., 100.),
        ];
        let text = table(&all).text();
        let last = text.lines().last().expect("a line");
        let cells: Vec<&str> = last.split_whitespace().collect();
        assert_eq!(
            cells[..],
            ["score", "100000000,", "on", "paper", "101", "990099", "100"],
            "{text}"
        );
    }
}
