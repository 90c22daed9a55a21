//! `mflow dim`: how many dimensions the manifold has that rows lie on.
use super::exit::Done;
use super::options::Threads;
use super::output::{OutFile, message, result};
use super::threads;
use anyhow::Result;
use clap::{Args, ValueEnum};
use mflow::data::io::read_table;
use mflow::eval::statistics::Sample;
use mflow::eval::{DimensionConfig, DimensionStudy, Estimate, draw_dimension};
use std::path::PathBuf;

/// Estimate how many dimensions the manifold has: what to give `mflow fit` as --manifold-dim
///
/// Four estimators look at neighbourhoods of growing size: TwoNN, Levina-Bickel, the correlation dimension and local
/// principal components. Where they agree, and the numbers stay as neighbourhoods grow, is the dimension. Noise raises
/// them in small neighbourhoods, folds and curvature raise them in large ones, edges and a lack of rows lower them.
/// `distance` is the median distance to the last row of a neighbourhood, over the spread of all rows: noise is seen
/// where it is below the noise's own share of the spread. Errors are from estimates that leave out one of ten regions
/// of the rows after the other.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  mflow dim data.csv\n  mflow dim data.npy --out dimension.png\n  \
    mflow dim data.csv --json\n\n\
    In Python:\n  json.loads(subprocess.check_output(['mflow', 'dim', 'data.csv', '--json']))['recommended']"
)]
pub(super) struct Options {
    /// Points, [rows, D]: .npy, .npz or .csv
    data: PathBuf,
    /// Write JSON instead of a table; the field `recommended` is the dimension to try first, or null
    #[arg(long)]
    json: bool,
    /// File for a picture of the estimates: .png or .svg
    #[arg(long, value_name = "FILE", value_parser = OutFile::figure)]
    out: Option<OutFile>,
    /// Units of the columns
    #[arg(long, value_enum, default_value_t = Units::Standardize)]
    normalize: Units,
    /// Seed of the choice of rows that are looked at, where there are many
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    threads: Threads,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Units {
    /// Each column has standard deviation 1, as in a fit
    Standardize,
    /// As they are
    None,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    options.out.as_ref().map_or(Ok(()), OutFile::check)?;
    let table = read_table(&options.data)?;
    let sample = Sample::new(table.values(), table.cols())?;
    let standardize = options.normalize == Units::Standardize;
    let config = DimensionConfig { standardize, seed: options.seed };
    let study = DimensionStudy::of(sample, config, &threads::pool(options.threads)?)?;
    if let Some(out) = &options.out {
        let title = options.data.file_name().unwrap_or_default().to_string_lossy();
        match study.curves.is_empty() {
            true => message(format_args!("note: there are no estimates, so there is no picture")),
            false => draw_dimension(&study, &title, out.path())?,
        }
    }
    match options.json {
        true => result(format_args!("{}", serde_json::to_string_pretty(&study)?))?,
        false => print(&study)?,
    }
    Ok(Done::Finished)
}

/// A table, the recommendation, and notes.
fn print(study: &DimensionStudy) -> Result<()> {
    let points = || study.curves.iter().flat_map(|curve| &curve.points);
    let mut sizes: Vec<(usize, f64)> = vec![];
    for point in points() {
        if !sizes.iter().any(|(size, _)| *size == point.neighbours) {
            sizes.push((point.neighbours, point.distance));
        }
    }
    sizes.sort_by_key(|(size, _)| *size);
    if !sizes.is_empty() {
        let names = study.curves.iter().map(|curve| format!(" {:>15}", curve.estimator.name()));
        result(format_args!("neighbours  distance{}", names.collect::<String>()))?;
    }
    for (size, distance) in sizes {
        let cell = |curve: &mflow::eval::DimensionCurve| {
            let point = curve.points.iter().find(|point| point.neighbours == size);
            let text = point.map_or_else(String::new, |point| {
                let (value, standard_error) = (point.dimension, point.standard_error);
                Estimate { value, standard_error, count: study.distinct_rows }.to_string()
            });
            format!(" {text:>15}")
        };
        let cells: String = study.curves.iter().map(cell).collect();
        result(format_args!("{:>10} {distance:>9.3}{cells}", size))?;
    }
    match study.recommended {
        Some(n) => result(format_args!("\nrecommended: {n}: {}", study.because))?,
        None => result(format_args!("no recommendation: {}", study.because))?,
    }
    for note in &study.notes {
        message(format_args!("note: {note}"));
    }
    Ok(())
}
