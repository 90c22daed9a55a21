//! `mflow data array`: a table as an array.
use super::exit::{Done, Usage};
use super::input;
use super::on_disk::OnDisk;
use super::output::{message, result};
use super::progress;
use super::reading::Reading;
use anyhow::{Result, bail};
use clap::Args;
use mflow::data::io::{Dtype, Missing, NpyWriter, ReadOptions};
use std::path::{Path, PathBuf};

/// Numbers that are in memory at a time.
const NUMBERS: usize = 1 << 20;

/// Make an array of a table: .npy, [rows, columns], in double precision
///
/// A .parquet file is read a row group at a time, so that it need not fit into memory; `mflow fit --stream` takes the array.
/// Names of columns are lost, and printed.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mflow data array big.parquet --columns px,py,pz --out big.npy")]
pub(super) struct Options {
    /// The table: .parquet, .npy, .npz, .csv or .tsv
    source: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// The array: .npy
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(options: &Options) -> Result<Done> {
    let Options { source, out, reading } = options;
    if !out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy")) {
        bail!(Usage(format!("--out {}: expected the extension .npy", out.display())));
    }
    let reading = reading.options();
    let (shape, columns) = match OnDisk::is_one(source) && reading.missing == Missing::Refuse {
        true => piece_by_piece(source, &reading, out)?,
        false => whole(source, &reading, out)?,
    };
    if let Some(columns) = columns {
        message(format_args!("columns {}", columns.join(", ")));
    }
    result(format_args!("{}: {shape:?}", out.display()))?;
    Ok(Done::Finished)
}

type Written = (Vec<usize>, Option<Vec<String>>);

fn piece_by_piece(source: &Path, reading: &ReadOptions, out: &Path) -> Result<Written> {
    let table = OnDisk::open(source, &reading.columns)?;
    let (rows, cols) = (table.rows(), table.cols());
    let mut shape = vec![rows];
    shape.extend_from_slice(table.row_shape().unwrap_or(&[cols]));
    let mut writer = NpyWriter::create_as(out, &shape, Dtype::F64)?;
    let bar = progress::of_rows(rows);
    let at_once = (NUMBERS / cols.max(1)).max(1);
    for first in (0..rows).step_by(at_once) {
        writer.write(&table.read_rows(first, at_once)?)?;
        bar.set_position((first + at_once).min(rows) as u64);
    }
    bar.finish_and_clear();
    writer.finish()?;
    Ok((shape, table.columns()))
}

fn whole(source: &Path, reading: &ReadOptions, out: &Path) -> Result<Written> {
    let table = input::load(source, reading)?.table;
    let mut shape = vec![table.rows()];
    shape.extend_from_slice(table.row_shape().unwrap_or(&[table.cols()]));
    let mut writer = NpyWriter::create_as(out, &shape, Dtype::F64)?;
    writer.write(table.values())?;
    writer.finish()?;
    Ok((shape, table.columns().map(<[String]>::to_vec)))
}
