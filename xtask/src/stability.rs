//! `cargo xtask stability`: what round trips through deep flows lose, kept in docs/results.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::provenance::Provenance;
use crate::shell::{self, Lock};
use crate::table::Table;
use crate::{files, number};

const OUT: &str = "target/stability";
const PAGE: &str = "docs/results/stability.md";
const FIGURE: &str = "docs/results/stability.png";

/// What the example `stability` writes; see there.
#[derive(Debug, Deserialize)]
struct Report {
    study: Study,
    gain: f64,
    truth: Vec<f64>,
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Study {
    dims: Vec<usize>,
    depths: Vec<usize>,
    seeds: u64,
    points: usize,
    steps: usize,
    batch: usize,
}

#[derive(Debug, Deserialize)]
struct Row {
    weights: String,
    dim: usize,
    depth: usize,
    single: Errors,
    double: Errors,
    layer: Number,
    amplification: Number,
    nll: Option<[Number; 2]>,
}

#[derive(Debug, Deserialize)]
struct Errors {
    worst: Number,
    median: Number,
    log_det: Number,
    lost: usize,
}

/// A number of a JSON file, where null stands for one that is not finite.
type Number = Option<f64>;

/// Runs the example, and writes page and figure.
pub(crate) fn run() -> Result<()> {
    let provenance = Provenance::here()?;
    let mut example = shell::cargo("run --profile ci -p mflow --example stability", Lock::Free);
    // Threads belong to the example's own pool; candle's would run inside them.
    example.env("RAYON_NUM_THREADS", "1").env("CANDLE_NUM_THREADS", "1").env_remove("MFLOW_TOY");
    shell::run(example.args(["--", OUT]))?;
    let report: Report = files::read_json(&Path::new(OUT).join("stability.json"))?;
    let figure = Path::new(OUT).join("stability.png");
    let picture = fs::read(&figure).with_context(|| format!("reading {}", figure.display()))?;
    files::write(Path::new(FIGURE), &picture)?;
    files::write(Path::new(PAGE), page(&report, &provenance).as_bytes())?;
    println!("\n{}\nsaved in {PAGE} and {FIGURE}", table(&report).text());
    Ok(())
}

/// The largest; NaN if one is not finite.
fn worst(numbers: impl Iterator<Item = Number>) -> f64 {
    numbers.map(|n| n.unwrap_or(f64::NAN)).fold(0.0, |a, b| if b > a || b.is_nan() { b } else { a })
}

fn table(report: &Report) -> Table {
    let mut table = Table::new([
        "weights",
        "D",
        "couplings",
        "f32 worst",
        "f32 median",
        "f32 log-det",
        "f64 worst",
        "f64 median",
        "f64 log-det",
        "one layer, f64",
        "growth",
        "NLL",
    ]);
    for weights in ["initial", "trained", "random"] {
        for &dim in &report.study.dims {
            for &depth in &report.study.depths {
                let of = |row: &&Row| (&*row.weights, row.dim, row.depth) == (weights, dim, depth);
                let rows: Vec<&Row> = report.rows.iter().filter(of).collect();
                let mut cells = vec![weights.to_owned(), dim.to_string(), depth.to_string()];
                let precisions: [fn(&Row) -> &Errors; 2] = [|row| &row.single, |row| &row.double];
                for errors in precisions {
                    let all = || rows.iter().copied().map(errors);
                    let lost: usize = all().map(|e| e.lost).sum();
                    let note = if lost > 0 { format!(" ({lost} lost)") } else { String::new() };
                    cells.push(number::short(worst(all().map(|e| e.worst))) + &note);
                    let median = number::median(all().filter_map(|e| e.median));
                    cells.push(number::short(median.unwrap_or(f64::NAN)));
                    cells.push(number::short(worst(all().map(|e| e.log_det))));
                }
                cells.push(number::short(worst(rows.iter().map(|row| row.layer))));
                cells.push(number::short(worst(rows.iter().map(|row| row.amplification))));
                let nll = |k: usize| {
                    number::median(rows.iter().filter_map(|row| row.nll.and_then(|nll| nll[k])))
                };
                cells.push(match (nll(0), nll(1)) {
                    (Some(before), Some(after)) => format!("{before:.2} to {after:.2}"),
                    _ => String::new(),
                });
                table.push(cells);
            }
        }
    }
    table
}

/// Least and largest ratio of the worst error to the growth times the precision, of the round trips
/// whose growth leaves digits over.
fn ratios(report: &Report) -> [f64; 2] {
    let of = |row: &Row| {
        let growth = row.amplification.unwrap_or(f64::INFINITY);
        let both = [(&row.single, f64::from(f32::EPSILON)), (&row.double, f64::EPSILON)];
        both.map(|(errors, epsilon)| (errors.worst.unwrap_or(f64::NAN), growth * epsilon))
    };
    let judged = report.rows.iter().flat_map(of).filter(|(_, predicted)| *predicted < 0.1);
    let ratios = judged.map(|(found, predicted)| found / predicted);
    ratios.fold([f64::INFINITY, 0.0], |[low, high], r| [low.min(r), high.max(r)])
}

fn page(report: &Report, provenance: &Provenance) -> String {
    let Provenance { commit, dirty, date, machine, command } = provenance;
    let commit = Provenance::commit_text(commit, *dirty);
    let Study { dims, seeds, points, steps, batch, .. } = &report.study;
    let truths = dims.iter().zip(&report.truth);
    let truths: Vec<String> = truths.map(|(dim, nll)| format!("{nll:.2} for D = {dim}")).collect();
    let [low, high] = ratios(report).map(number::short);
    format!(
        "# Round trips through deep flows

Written by `{command}` on {date}, commit {commit}, on {machine}.

Standard normal latents `z` go to data and back through spline flows: the published flow with more
couplings, each a rational-quadratic spline of 10 bins on `[-6, 6]` whose conditioner has 2 blocks of width
32, with alternating masks and random permutations between. {seeds} seeds with {points} points each, in f32
and in f64; all weights are f32 numbers, so that both evaluate the same map. Errors are
`max |inverse(forward(z)) - z|` over the D features.

- *initial*: the weights that training starts with, near the identity.
- *trained*: {steps} updates by maximum likelihood (AdamW, batches of {batch}) on eight narrow Gaussians on a
  circle, with D - 2 features of noise, all reflected across the diagonal. NLL is the mean over fresh points
  before and after, in nats; under the true density it is {truth}.
- *random*: normal numbers of standard deviation {gain} over the square root of the inputs, biases of half of
  that: far from the identity, and not a map that anyone would want.

![Worst error over the number of couplings, D = 3 and 8 together](stability.png)

{table}
Worst and log-det (the sum of the two log-determinants) are over points and seeds, medians over points and
then seeds. *One layer* is the worst round trip through a single layer on its own, at the points that the
flow brings it. *Growth* is what a rounding error inside of the flow may have grown by when it is back at
the latents: the largest row-sum norm of the inverse Jacobian of the first k layers, over k, points and
seeds.

## What is seen

- Couplings near the identity and trained ones lose next to nothing: the errors grow more slowly than the
  number of couplings, and 100 trained couplings return f32 latents to within 1e-4 and f64 latents to within
  1e-13. Training by likelihood keeps the growth small, as the map that the data asks for is mild however
  many layers share it.
- Random couplings are chaotic: growth multiplies from layer to layer, so the error rises exponentially with
  the depth, until it is as large as the box. In f32 the worst point has lost all digits at 20 couplings, in
  f64 at 40; at 100 so has the median point, in both, and nothing but the box bounds the error.
- That is conditioning: one layer on its own loses at most 1e-12 in f64 even there, no result is infinite or
  NaN, and wherever growth times the machine epsilon is below 0.1, the worst error is {low} to {high} times this
  product. A flow that must be inverted exactly can be watched by this number.
",
        truth = truths.join(" and "),
        gain = report.gain,
        table = table(report).markdown(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{
        "study": {"dims": [3], "depths": [10], "seeds": 2, "points": 9, "steps": 4, "batch": 8},
        "gain": 1.0, "truth": [3.9],
        "rows": [
            {"weights": "random", "dim": 3, "depth": 10, "amplification": 1e3, "layer": 1e-15,
             "nll": null, "single": {"worst": 2e-4, "median": 1e-6, "log_det": 1e-5, "lost": 0},
             "double": {"worst": 2e-13, "median": 1e-15, "log_det": 1e-14, "lost": 0}},
            {"weights": "random", "dim": 3, "depth": 10, "amplification": null, "layer": 3e-15,
             "nll": null, "single": {"worst": null, "median": null, "log_det": 1e-5, "lost": 9},
             "double": {"worst": 4e-13, "median": 3e-15, "log_det": 1e-14, "lost": 0}}
        ]}"#;

    #[test]
    fn seeds_are_taken_together_and_losses_are_shown() {
        let report: Report = serde_json::from_str(REPORT).unwrap();
        let text = table(&report).text();
        let row = text.lines().find(|line| line.starts_with("random")).unwrap();
        let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|c| !c.is_empty()).collect();
        let expected = [
            "random",
            "3",
            "10",
            "NaN (9 lost)",
            "1.0e-6",
            "1.0e-5",
            "4.0e-13",
            "2.0e-15",
            "1.0e-14",
            "3.0e-15",
            "NaN",
        ];
        assert_eq!(cells, expected);
    }

    #[test]
    fn ratios_are_of_what_leaves_digits() {
        let report: Report = serde_json::from_str(REPORT).unwrap();
        let [low, high] = ratios(&report);
        assert!((low - 2e-13 / (1e3 * f64::EPSILON)).abs() < 1e-9, "{low}");
        assert!((high - 2e-4 / (1e3 * f64::from(f32::EPSILON))).abs() < 1e-9, "{high}");
    }
}
