//! `cargo xtask dimension`: `mflow dim` and scikit-dimension on its benchmark manifolds, kept in docs/results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use serde::Deserialize;

use crate::provenance::Provenance;
use crate::python::Environment;
use crate::shell::{self, Lock};
use crate::table::Table;
use crate::{files, number};

const FOLDER: &str = "target/dimension";
const PAGE: &str = "docs/results/dimension.md";
const ROWS: &str = "2500";
const SEED: &str = "0";

const ENVIRONMENT: Environment = Environment {
    folder: "target/dimension-venv",
    requirements: "xtask/dimension/requirements.txt",
    versions: &["3.11", "3.12", "3.13"],
    size: "about 150 MB to download, 600 MB on disk",
};

/// Names in JSON and in tables, and the size of neighbourhoods; as in `peers.py`.
const ESTIMATORS: [(&str, &str, usize); 4] = [
    ("two-nn", "TwoNN", 2),
    ("levina-bickel", "Levina-Bickel", 16),
    ("correlation", "correlation", 16),
    ("local-pca", "local PCA", 64),
];

/// Options of `cargo xtask dimension`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The Python that the virtual environment is made with
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Take what scikit-dimension said in an earlier call, of the same rows
    #[arg(long)]
    keep_peers: bool,
}

/// What `peers.py` says of a manifold.
#[derive(Debug, Deserialize)]
struct Peer {
    name: String,
    dimension: usize,
    columns: usize,
    estimates: BTreeMap<String, f64>,
}

/// What `mflow dim --json` says; see there.
#[derive(Debug, Deserialize)]
struct Study {
    recommended: Option<usize>,
    curves: Vec<Curve>,
}

#[derive(Debug, Deserialize)]
struct Curve {
    estimator: String,
    points: Vec<Point>,
}

#[derive(Debug, Deserialize)]
struct Point {
    neighbours: usize,
    dimension: f64,
}

impl Study {
    fn estimate(&self, estimator: &str, neighbours: usize) -> Option<f64> {
        let curve = self.curves.iter().find(|curve| curve.estimator == estimator)?;
        Some(curve.points.iter().find(|point| point.neighbours == neighbours)?.dimension)
    }
}

/// Runs both, and writes the page.
pub(crate) fn run(options: &Options) -> Result<()> {
    let provenance = Provenance::here()?;
    let folder = Path::new(FOLDER);
    let peers = folder.join("peers.json");
    if !(options.keep_peers && peers.exists()) {
        files::write(&folder.join("README"), b"Made by `cargo xtask dimension`.\n")?;
        let python = ENVIRONMENT.python(&options.python)?;
        let script = Command::new(python)
            .arg("xtask/dimension/peers.py")
            .args([FOLDER, ROWS, SEED])
            .env("OMP_NUM_THREADS", "1")
            .status()
            .context("starting peers.py")?;
        anyhow::ensure!(script.success(), "peers.py ended with {script}");
    }
    let peers: Vec<Peer> = files::read_json(&peers)?;
    let mut studies = Vec::new();
    for peer in &peers {
        let mut dim = shell::cargo("run -q --profile ci -p mflow --", Lock::Free);
        let rows = folder.join(format!("{}.npy", peer.name));
        dim.arg("dim").arg(rows).args(["--json", "--normalize", "none"]);
        let text = shell::read(&mut dim)?;
        studies.push(serde_json::from_str(&text).with_context(|| peer.name.clone())?);
    }
    files::write(Path::new(PAGE), page(&peers, &studies, &provenance).as_bytes())?;
    println!("{}\nsaved in {PAGE}", errors(&peers, &studies).text());
    Ok(())
}

/// Relative errors: how far an estimate is from the dimension, over the dimension.
fn off(estimate: f64, peer: &Peer) -> f64 {
    (estimate / peer.dimension as f64 - 1.0).abs()
}

/// The mean; NaN if there is an estimate missing.
fn mean(values: impl Iterator<Item = Option<f64>>) -> f64 {
    let all: Vec<f64> = values.map(|value| value.unwrap_or(f64::NAN)).collect();
    all.iter().sum::<f64>() / all.len() as f64
}

/// Mean relative errors of each estimator, ours and theirs.
fn errors(peers: &[Peer], studies: &[Study]) -> Table {
    let both = || peers.iter().zip(studies);
    let mut table = Table::new(["estimator", "neighbours", "mflow", "scikit-dimension"]);
    for (key, name, k) in ESTIMATORS {
        let ours = mean(both().map(|(peer, study)| Some(off(study.estimate(key, k)?, peer))));
        let theirs = mean(peers.iter().map(|peer| Some(off(*peer.estimates.get(key)?, peer))));
        let cells = [name.to_owned(), k.to_string(), number::short(ours), number::short(theirs)];
        table.push(cells);
    }
    let recommended = both().map(|(peer, study)| Some(off(study.recommended? as f64, peer)));
    table.push(["recommended".to_owned(), String::new(), number::short(mean(recommended))]);
    table
}

fn manifolds(peers: &[Peer], studies: &[Study]) -> Table {
    let heads = ESTIMATORS.map(|(_, name, _)| [name.to_owned(), "theirs".to_owned()]);
    let first = ["manifold", "columns", "dimension", "recommended"].map(str::to_owned);
    let mut table = Table::new(first.into_iter().chain(heads.into_iter().flatten()));
    for (peer, study) in peers.iter().zip(studies) {
        let recommended = study.recommended.map_or_else(|| "none".to_owned(), |n| n.to_string());
        let (columns, dimension) = (peer.columns.to_string(), peer.dimension.to_string());
        let mut cells = vec![peer.name.clone(), columns, dimension, recommended];
        for (key, _, k) in ESTIMATORS {
            for value in [study.estimate(key, k), peer.estimates.get(key).copied()] {
                cells.push(number::short(value.unwrap_or(f64::NAN)));
            }
        }
        table.push(cells);
    }
    table
}

fn page(peers: &[Peer], studies: &[Study], provenance: &Provenance) -> String {
    let Provenance { commit, dirty, date, machine, command } = provenance;
    let commit = Provenance::commit_text(commit, *dirty);
    let exact = peers.iter().zip(studies).filter(|(p, s)| s.recommended == Some(p.dimension));
    format!(
        "# How many dimensions

Written by `{command}` on {date}, commit {commit}, on {machine}.

`mflow dim --normalize none` and scikit-dimension 0.5.0 look at the same {ROWS} rows of each of its {all} benchmark
manifolds, drawn without noise with seed {SEED}, in neighbourhoods of the same sizes. Mean relative errors,
`|estimate / dimension - 1|`:

{errors}
The recommendation is the dimension itself for {exact} of {all} manifolds.

{manifolds}
Of each estimator the first column is ours. TwoNN differs by how ranks are counted and by which ratios are left out.
",
        all = peers.len(),
        exact = exact.count(),
        errors = errors(peers, studies).markdown(),
        manifolds = manifolds(peers, studies).markdown(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_relative_and_what_is_missing_shows() {
        let peers = r#"[{"name": "a", "dimension": 4, "columns": 5,
            "estimates": {"two-nn": 3.0, "levina-bickel": 4.0, "correlation": 6.0}}]"#;
        let peers: Vec<Peer> = serde_json::from_str(peers).unwrap();
        let study = r#"{"recommended": 5, "curves": [
            {"estimator": "two-nn", "points": [{"neighbours": 2, "dimension": 4.4}]}]}"#;
        let study: Study = serde_json::from_str(study).unwrap();
        let text = errors(&peers, &[study]).text();
        let cells: Vec<Vec<&str>> =
            text.lines().skip(2).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(cells[0], ["TwoNN", "2", "0.10", "0.25"]);
        assert_eq!(cells[1], ["Levina-Bickel", "16", "NaN", "0"]);
        assert_eq!(cells[4], ["recommended", "0.25"]);
    }
}
