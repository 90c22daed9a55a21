//! `cargo xtask collisions`: what simulated events look like, kept in docs/results.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::provenance::Provenance;
use crate::shell::{self, Lock};
use crate::table::Table;
use crate::{files, number};

const OUT: &str = "target/collisions";
const PAGE: &str = "docs/results/collisions.md";
const FIGURE: &str = "docs/results/collisions.png";

/// What the example `collisions` writes; see there.
#[derive(Debug, Deserialize)]
struct Report {
    events: usize,
    rows: Vec<Row>,
    excess: f64,
    setup: f64,
    seconds: f64,
    drawn: usize,
    threads: usize,
}

/// A number with its error.
type Number = (f64, f64);

#[derive(Debug, Deserialize)]
struct Row {
    theta: [f64; 2],
    total: Number,
    selected: Number,
    jets_mass: f64,
    delta_eta: f64,
    asymmetry: Number,
    score: [Number; 2],
    trials: f64,
}

/// Runs the example, and writes page and figure.
pub(crate) fn run() -> Result<()> {
    let provenance = Provenance::here()?;
    let mut example = shell::cargo("run --profile ci -p mflow --example collisions", Lock::Free);
    example.env("RAYON_NUM_THREADS", "1").env_remove("MFLOW_TOY");
    shell::run(example.args(["--", OUT]))?;
    let report: Report = files::read_json(&Path::new(OUT).join("collisions.json"))?;
    let figure = Path::new(OUT).join("collisions.png");
    let picture = fs::read(&figure).with_context(|| format!("reading {}", figure.display()))?;
    files::write(Path::new(FIGURE), &picture)?;
    files::write(Path::new(PAGE), page(&report, &provenance).as_bytes())?;
    println!("\n{}\nsaved in {PAGE} and {FIGURE}", table(&report).text());
    Ok(())
}

fn table(report: &Report) -> Table {
    let mut table = Table::new([
        "θ",
        "before cuts, pb",
        "after cuts, pb",
        "mean m_jj, GeV",
        "mean Δη_jj",
        "asymmetry of Δφ_jj",
        "mean score 1",
        "mean score 2",
        "trials an event",
    ]);
    let with_error = |(value, error): Number| format!("{value:.3} ± {error:.3}");
    for row in &report.rows {
        table.push([
            format!("({}, {})", row.theta[0], row.theta[1]),
            with_error(row.total),
            with_error(row.selected),
            format!("{:.0}", row.jets_mass),
            format!("{:.2}", row.delta_eta),
            with_error(row.asymmetry),
            with_error(row.score[0]),
            with_error(row.score[1]),
            format!("{:.0}", row.trials),
        ]);
    }
    table
}

/// The known rate before cuts that ours is compared with, and the share of it that W fusion has.
const KNOWN: f64 = 4.0;
const SHARE: f64 = 0.75;

fn page(report: &Report, provenance: &Provenance) -> String {
    let Provenance { commit, dirty, date, machine, command } = provenance;
    let commit = Provenance::commit_text(commit, *dirty);
    let ours = report.rows.first().map_or(f64::NAN, |row| row.total.0);
    let ratio = ours / (KNOWN * SHARE);
    format!(
        "# Simulated collisions

Written by `{command}` on {date}, commit {commit}, on {machine}.

This page shows what the simulator `wbf` draws: Higgs bosons from the fusion of two W bosons at 13 TeV, at leading order,
which decay to two photons, with two effective operators whose coefficients are θ. It is for whoever wants to know if these
events are like those of the programs of the field. {events} events for each θ, after the cuts of the paper.

![The jets of events at five θ](collisions.png)

{table}
- **Rate.** Without operators the cross section before cuts is {ours:.2} pb. Fusion of W and Z together has about {KNOWN} pb
  at leading order (Cacciari, Dreyer, Karlberg, Salam and Zanderighi 2015, arXiv 1506.02660), of which W fusion has about three
  quarters: the ratio is {ratio:.2}. Our densities of partons are simple formulas, without evolution, so more agreement
  would be luck. The decay to two photons multiplies all rates by 0.00227.
- **Jets.** They have a large mass and are far apart in pseudorapidity, as fusion has it.
- **Angle.** Δφ_jj is the azimuth of the forward jet less that of the backward one. A reflection changes its sign. So its
  distribution is even without the second operator, and the asymmetry (events with Δφ_jj above 0 less those below, as a
  share) has a sign, opposite to that of θ_2, and grows with it.
- **Scores.** The mean of the joint score is 0, within the error of events and that of the rates.
- **Speed.** {drawn} unweighted events with their scores, at θ from the prior, took {seconds:.0} s on {threads} threads, after
  {setup:.1} s to adapt the generator. Of the cross section the share {excess} lies beyond the largest weight that
  unweighting allows for.
",
        events = report.events,
        table = table(report).markdown(),
        drawn = report.drawn,
        seconds = report.seconds,
        threads = report.threads,
        setup = report.setup,
        excess = number::short(report.excess),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_the_numbers() {
        let row = Row {
            theta: [0.0, 0.5],
            total: (3.4, 0.01),
            selected: (2.6, 0.02),
            jets_mass: 812.3,
            delta_eta: 4.25,
            asymmetry: (0.123, 0.004),
            score: [(0.01, 0.02), (0.0, 0.03)],
            trials: 44.2,
        };
        let report = Report {
            events: 10,
            rows: vec![row],
            excess: 1e-4,
            setup: 2.0,
            seconds: 30.0,
            drawn: 1000,
            threads: 2,
        };
        let provenance = Provenance {
            commit: "abc".to_owned(),
            dirty: false,
            date: "today".to_owned(),
            machine: "a machine".to_owned(),
            command: "cargo xtask collisions".to_owned(),
        };
        let page = page(&report, &provenance);
        for text in
            ["(0, 0.5)", "3.400 ± 0.010", "0.123 ± 0.004", "the ratio is 1.13", "1000 unweighted"]
        {
            assert!(page.contains(text), "{text} in {page}");
        }
    }
}
