//! Did `mflow fit` find the manifold? The numbers and the picture of a finished run, from its files.
//!
//! `cargo xtask reproduce manifolds` runs the program and then this example, and keeps what they find in
//! `docs/results/manifolds.md`. Without arguments it measures what a perfect model would get: rows and samples
//! are both the truth's.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "an example shows its results, and may panic"
)]
mod figure;
mod metrics;

use clap::Parser;
use metrics::{mean_difference, mean_nearest, root_mean_square, spread};
use mflow::bijectors::Stream;
use mflow::data::io::{
    Array, Dtype, Table, npz_names, read_npy, read_npz_array, write_npy, write_npz,
};
use mflow::data::{Error, add_noise, simulator_by_name};
use serde::Serialize;
use std::f64::consts::TAU;
use std::path::{Path, PathBuf};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What is left of the plane's third column.
const CONSTANT: f64 = 1.;
/// The case that is no simulator.
const PLANE: &str = "plane";

/// Numbers and pictures of the study `cargo xtask reproduce manifolds`
#[derive(Debug, Parser)]
enum Command {
    /// Write `x.npy` and `log_prob.npy` of two normal columns and a constant one, as `mflow data` does
    Plane {
        /// Number of rows
        #[arg(short)]
        n: usize,
        /// Seed of the random numbers
        #[arg(long)]
        seed: u64,
        /// As for `mflow data`
        #[arg(long, default_value_t = 0.)]
        noise: f64,
        /// Folder for the files
        #[arg(long)]
        out: PathBuf,
    },
    /// Print the numbers of a run as JSON
    Measure {
        /// Name of the simulator, or `plane`
        case: String,
        /// The folder: `train/x.npy`, `test/x.npy` and `log_prob.npy`, `others/x.npy` to compare samples with,
        /// `scores.npz` of the test rows and `samples.npy`; of data with noise also `clean/x.npy` and `log_prob.npy`, the test rows before the
        /// noise, and `clean.npz`, their scores
        folder: PathBuf,
    },
    /// Draw true rows and learned samples into PNG
    Draw {
        /// As for `measure`
        folder: PathBuf,
        /// The file
        out: PathBuf,
    },
}

/// What is found of a run. Distances are divided by the spread: the root of the summed variances of the
/// training rows.
#[derive(Debug, Serialize)]
struct Measures {
    /// Root mean square distance of the test rows to the learned manifold.
    error: f64,
    /// The same to the true manifold; none where nearest points are not known.
    floor: Option<f64>,
    /// The error of the test rows before the noise; none for data without noise.
    clean_error: Option<f64>,
    /// Mean of the true log-density minus the learned one over the test rows, before any noise, in nats; none where
    /// one of the two is not known or not finite.
    gap: Option<f64>,
    /// Mean distance of the samples to their nearest training row, over that of the other true rows; none if a sample
    /// is not finite.
    ratio: Option<f64>,
}

fn main() -> Result<()> {
    if std::env::args_os().len() == 1 {
        return perfect();
    }
    match Command::parse() {
        Command::Plane { n, seed, noise, out } => plane(n, seed, noise, &out),
        Command::Measure { case, folder } => {
            println!("{}", serde_json::to_string(&measure(&case, &folder)?)?);
            Ok(())
        }
        Command::Draw { folder, out } => {
            let samples = finite(read_npy(&folder.join("samples.npy")))?;
            let samples = samples.ok_or("some samples are not finite: there is no picture")?;
            figure::draw(&read_npy(&folder.join("test/x.npy"))?, &samples, &out)
        }
    }
}

fn measure(case: &str, folder: &Path) -> Result<Measures> {
    let train = read_npy(&folder.join("train/x.npy"))?;
    let test = read_npy(&folder.join("test/x.npy"))?;
    let spread = spread(&train);
    let error = |scores: &str| -> Result<f64> {
        let distances = read_npz_array(&folder.join(scores), "reconstruction_error")?;
        Ok(root_mean_square(distances.values()) / spread)
    };
    let has_clean = folder.join("clean").is_dir();
    let (clean, clean_scores) =
        if has_clean { ("clean", "clean.npz") } else { ("test", "scores.npz") };
    let samples = finite(read_npy(&folder.join("samples.npy")))?;
    let others = read_npy(&folder.join("others/x.npy"))?;
    let of_samples = |samples| mean_nearest(samples, &train) / mean_nearest(&others, &train);
    Ok(Measures {
        error: error("scores.npz")?,
        floor: distance(case, &test)?.map(|distances| root_mean_square(&distances) / spread),
        clean_error: has_clean.then(|| error(clean_scores)).transpose()?,
        gap: gap(&folder.join(clean).join("log_prob.npy"), &folder.join(clean_scores))?,
        ratio: samples.as_ref().map(of_samples),
    })
}

fn gap(truth: &Path, scores: &Path) -> Result<Option<f64>> {
    if !truth.exists() || !npz_names(scores)?.iter().any(|name| name == "log_prob") {
        return Ok(None);
    }
    let learned = finite(read_npz_array(scores, "log_prob"))?;
    let truth = read_npy(truth)?;
    Ok(learned.map(|learned| mean_difference(truth.values(), learned.values())))
}

/// Nothing where the only thing wrong with a table is that it is not finite: models may give such numbers.
fn finite(table: mflow::data::Result<Table>) -> Result<Option<Table>> {
    match table {
        Err(Error::NonFinite { .. }) => Ok(None),
        table => Ok(Some(table?)),
    }
}

/// The distance of each row to the true manifold, where that is known.
fn distance(case: &str, rows: &Table) -> Result<Option<Vec<f64>>> {
    if case == PLANE {
        let of = |row: &[f64]| (row[2] - CONSTANT).abs();
        return Ok(Some(rows.values().chunks_exact(3).map(of).collect()));
    }
    match simulator_by_name(case)?.distance(rows.values()) {
        Err(Error::Intractable { .. }) => Ok(None),
        distances => Ok(Some(distances?)),
    }
}

fn plane(n: usize, seed: u64, noise: f64, out: &Path) -> Result<()> {
    let normal = Stream::new(seed, "data").normal(2 * n);
    let pairs = || normal.chunks_exact(2);
    let mut x: Vec<f64> = pairs().flat_map(|pair| [pair[0], pair[1], CONSTANT]).collect();
    add_noise(&mut x, 3, noise, &mut Stream::new(seed, "data noise"))?;
    std::fs::create_dir_all(out)?;
    write_npy(&out.join("x.npy"), &Array::matrix(n, 3, &x, Dtype::F64)?)?;
    if noise == 0. {
        let log_prob: Vec<f64> =
            pairs().map(|pair| -0.5 * (pair[0].powi(2) + pair[1].powi(2)) - TAU.ln()).collect();
        write_npy(&out.join("log_prob.npy"), &Array::vector(&log_prob, Dtype::F64))?;
    }
    Ok(())
}

/// Measures the truth as if a model had learned it.
fn perfect() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("mflow-manifolds-{}", std::process::id()));
    let result = measure_truth(&folder);
    std::fs::remove_dir_all(&folder)?;
    result
}

fn measure_truth(folder: &Path) -> Result<()> {
    plane(2000, 1, 0., &folder.join("train"))?;
    plane(500, 2, 0., &folder.join("test"))?;
    plane(500, 3, 0., &folder.join("others"))?;
    plane(500, 4, 0., &folder.join("drawn"))?;
    std::fs::copy(folder.join("drawn/x.npy"), folder.join("samples.npy"))?;
    let log_prob = read_npy(&folder.join("test/log_prob.npy"))?;
    let zeros = vec![0.; log_prob.values().len()];
    let scores = [
        ("log_prob", Array::vector(log_prob.values(), Dtype::F64)),
        ("reconstruction_error", Array::vector(&zeros, Dtype::F64)),
    ];
    write_npz(&folder.join("scores.npz"), &scores)?;
    let found = measure(PLANE, folder)?;
    println!("a perfect model: {found:?}");
    assert!(found.error == 0. && found.floor == Some(0.), "on the plane: {found:?}");
    assert!(found.gap == Some(0.), "the same density: {found:?}");
    let ratio = found.ratio.ok_or("no ratio")?;
    assert!((ratio - 1.).abs() < 0.2, "samples like true rows: {found:?}");
    let picture = folder.join("plane.png");
    let samples = read_npy(&folder.join("samples.npy"))?;
    figure::draw(&read_npy(&folder.join("test/x.npy"))?, &samples, &picture)
}
