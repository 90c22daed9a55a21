//! `mflow geographic`: longitudes and latitudes to points of the sphere, and back.
use super::exit::Done;
use super::input::{check_columns, load};
use super::output::OutFile;
use super::reading::Reading;
use anyhow::{Context, Result, bail};
use clap::Args;
use mflow::data::geographic::{from_points, to_points};
use mflow::data::io::{Array, Dtype, Table, write_array};
use std::path::{Path, PathBuf};

/// Longitudes and latitudes to points of the unit sphere, [n, 3], or back
///
/// Reads the columns `longitude` and `latitude`, in degrees, or a table of just these two in this order;
/// other columns are left out. The sphere is the chart `hypersphere` or `stereographic` of `fom`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mflow geographic places.csv --out points.npy\n  \
    mflow geographic points.npy --back --out places.csv")]
pub(super) struct Options {
    /// Places, or with --back points: .npy, .npz, .csv, .tsv or .parquet
    data: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// From points [n, 3], at any distance from the origin, to longitude and latitude
    #[arg(long)]
    back: bool,
    /// File for the result: .npy, .npz or .csv
    #[arg(long, value_parser = OutFile::array)]
    out: OutFile,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    options.out.check()?;
    let path = &options.data;
    let table = load(path, &options.reading.options())?.table;
    let (values, columns): (Vec<f64>, &[&str]) = match options.back {
        true => {
            check_columns(path, table.cols(), 3, "x, y and z")?;
            (from_points(table.values()).with_context(|| path.display().to_string())?, &PLACE)
        }
        false => {
            let places = places(path, &table)?;
            (to_points(&places).with_context(|| path.display().to_string())?, &["x", "y", "z"])
        }
    };
    let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
    let (rows, cols) = (table.rows(), columns.len());
    let array = Array::matrix(rows, cols, &values, Dtype::F64)?.with_columns(&columns)?;
    write_array(options.out.path(), &array)?;
    options.out.announce(format_args!("[{rows}, {cols}]"))?;
    Ok(Done::Finished)
}

/// The columns of a place.
const PLACE: [&str; 2] = ["longitude", "latitude"];

/// Longitude and latitude of each row, `[rows, 2]`.
#[expect(clippy::indexing_slicing, reason = "positions of columns that were found by their names")]
fn places(path: &Path, table: &Table) -> Result<Vec<f64>> {
    let Some(names) = table.columns() else {
        check_columns(path, table.cols(), 2, "longitude and latitude")?;
        return Ok(table.values().to_vec());
    };
    let mut chosen = [0; 2];
    for (column, wanted) in chosen.iter_mut().zip(PLACE) {
        let is_it = |name: &String| name.trim().eq_ignore_ascii_case(wanted);
        let Some(found) = names.iter().position(is_it) else {
            bail!("{}: expected a column `{wanted}`, found {}", path.display(), names.join(", "));
        };
        *column = found;
    }
    let rows = table.values().chunks_exact(table.cols());
    Ok(rows.flat_map(|row| chosen.map(|column| row[column])).collect())
}
