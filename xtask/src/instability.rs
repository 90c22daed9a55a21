//! `cargo xtask instability`: what maximum likelihood alone does to a manifold, kept in docs/results.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::files;
use crate::provenance::Provenance;
use crate::shell::{self, Lock};
use crate::table::Table;

const OUT: &str = "target/instability";
const PAGE: &str = "docs/results/instability.md";
const FIGURE: &str = "docs/results/instability.png";

/// A line of what the example `instability` writes; see there.
#[derive(Debug, Deserialize)]
struct Row {
    training: String,
    update: usize,
    angle: f64,
    width: f64,
    log_prob: f64,
    error: f64,
}

/// Runs the example, and writes page and figure.
pub(crate) fn run() -> Result<()> {
    let provenance = Provenance::here()?;
    let mut example = shell::cargo("run --profile ci -p mflow --example instability", Lock::Free);
    shell::run(example.args(["--", OUT]))?;
    let rows: Vec<Row> = files::read_json(&Path::new(OUT).join("instability.json"))?;
    let figure = Path::new(OUT).join("instability.png");
    let picture = fs::read(&figure).with_context(|| format!("reading {}", figure.display()))?;
    files::write(Path::new(FIGURE), &picture)?;
    files::write(Path::new(PAGE), page(&rows, &provenance).as_bytes())?;
    println!("\n{}\nsaved in {PAGE} and {FIGURE}", table(&rows).text());
    Ok(())
}

/// The model every hundred updates.
fn table(rows: &[Row]) -> Table {
    let head = ["training", "update", "angle", "width", "log-likelihood", "distance"];
    let mut table = Table::new(head);
    for row in rows.iter().filter(|row| row.update.is_multiple_of(100)) {
        table.push([
            row.training.clone(),
            row.update.to_string(),
            format!("{:.2}", row.angle),
            format!("{:.3}", row.width),
            format!("{:.2}", row.log_prob),
            format!("{:.3}", row.error),
        ]);
    }
    table
}

fn page(rows: &[Row], provenance: &Provenance) -> String {
    let Provenance { commit, dirty, date, machine, command } = provenance;
    let commit = Provenance::commit_text(commit, *dirty);
    format!(
        "# Why likelihood alone does not find a manifold

Written by `{command}` on {date}, commit {commit}, on {machine}.

An M-flow of two parameters: a line through the origin of the plane, at an *angle* to the axis on which the
data lie, and a normal density of some *width* on it. The data are 1,000 points, standard normal along their
axis. Both trainings start from an angle of 20 degrees and a width of 1, with Adam on all data at once. The
log-likelihood is the mean over the data, projected onto the line, in nats; the distance is the root mean
square of that between the data and the line.

- *likelihood*: both parameters follow the likelihood.
- *sequential* (M/D): the angle follows the reconstruction error for the first half of the updates, the width the
  likelihood for the second.

![Log-likelihood and distance over the updates](instability.png)

{table}
The likelihood is that of the projections: turning the line away from the data brings these together, and a
narrow density there has as large a likelihood as one likes. So the likelihood rises without end while every
point is lost, and a model is not better for a higher one. The distance knows better, and the two-phase
schedule ends at the data's own axis and width.
",
        table = table(rows).markdown(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hundredth_update_is_shown() {
        let row = |update| Row {
            training: "likelihood".to_owned(),
            update,
            angle: 20.0,
            width: 1.0,
            log_prob: -1.25,
            error: 0.5,
        };
        let rows: Vec<Row> = (0..=200).map(row).collect();
        let text = table(&rows).text();
        assert_eq!(text.matches("\nlikelihood ").count(), 3, "updates 0, 100 and 200: {text}");
        assert!(text.contains("-1.25"), "{text}");
    }
}
