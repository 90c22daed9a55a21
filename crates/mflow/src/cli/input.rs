//! Tables that come in, checked against what they are for.
use super::output::message;
use super::tables::CONTEXT;
use anyhow::{Result, bail};
use mflow::core::candle::{DType, Device, Tensor};
use mflow::data::io::{Loaded, ReadOptions, Table};
use mflow::data::{Error, Place};
use std::path::Path;

/// A table as the options say, with its warnings told.
pub(super) fn load(path: &Path, options: &ReadOptions) -> Result<Loaded> {
    let loaded = mflow::data::io::read(path, options)?;
    for warning in &loaded.warnings {
        message(format_args!("warning: {warning}"));
    }
    Ok(loaded)
}

/// A table that fits `dtype`.
pub(super) fn read(path: &Path, options: &ReadOptions, dtype: DType) -> Result<Table> {
    let table = load(path, options)?.table;
    check_range(path, &table, dtype)?;
    Ok(table)
}

/// A context, with its warnings told; of an .npz file the array of contexts, if it has one.
pub(super) fn load_context(path: &Path, options: &ReadOptions) -> Result<Loaded> {
    load(path, &options.of_array(CONTEXT))
}

/// Refuse values that single precision cannot hold, where it must.
pub(super) fn check_range(path: &Path, table: &Table, dtype: DType) -> Result<()> {
    if dtype != DType::F32 {
        return Ok(());
    }
    Ok(table.to_f32().map(|_| ()).map_err(|e| match e {
        Error::F32Overflow { row, column, value, .. } => {
            Error::F32Overflow { place: Place::file(path), row, column, value }
        }
        e => e,
    })?)
}

/// Refuse a table of `found` columns where others are expected. `what` explains the number: `the features of the model`.
pub(super) fn check_columns(path: &Path, found: usize, expected: usize, what: &str) -> Result<()> {
    if found != expected {
        let path = path.display();
        bail!("{path}: expected {expected} columns, {what}, found {found}");
    }
    Ok(())
}

/// Refuse rows of another shape: their values lie in another order.
pub(super) fn check_shape(
    path: &Path,
    found: Option<&[usize]>,
    expected: Option<&[usize]>,
) -> Result<()> {
    match (found, expected) {
        (Some(found), Some(expected)) if found != expected => {
            let path = path.display();
            bail!(
                "{path}: expected rows of the shape {expected:?}, those of the model, found {found:?}"
            );
        }
        _ => Ok(()),
    }
}

/// Compare names of columns: the same ones in another order are a mistake, other ones may be one.
pub(super) fn check_names(
    path: &Path,
    found: Option<&[String]>,
    expected: Option<&[String]>,
) -> Result<()> {
    let (Some(expected), Some(found)) = (expected, found) else { return Ok(()) };
    if expected == found {
        return Ok(());
    }
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    let (path, same) = (path.display(), sorted(expected) == sorted(found));
    let (expected, found) = (expected.join(", "), found.join(", "));
    if same {
        bail!("{path}: expected the columns in the order {expected}, found {found}");
    }
    message(format_args!(
        "warning: {path}: the model was fitted to columns {expected}, these are called {found}"
    ));
    Ok(())
}

/// The table as a tensor on `device`, `[rows, cols]`.
pub(super) fn tensor(table: Table, dtype: DType, device: &Device) -> Result<Tensor> {
    let shape = (table.rows(), table.cols());
    let t = Tensor::from_vec(table.into_values(), shape, &Device::Cpu)?;
    Ok(t.to_dtype(dtype)?.to_device(device)?)
}
