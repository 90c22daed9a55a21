//! Tables in Parquet files, of which only the columns that are wanted are read.

use std::error::Error as StdError;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::basic::{LogicalType, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{DataType, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::loaded::Incoming;
use super::npy_dtype::half;
use super::{Loaded, Missing, ReadOptions};
use crate::{Error, Place, Result};

/// Values read at a time: memory grows with what is there, and not with what a file claims.
const BLOCK: usize = 1 << 16;

/// Reads a table from a Parquet file.
///
/// # Errors
///
/// [`Error::Parquet`] where the file is damaged or uses what is not supported, [`Error::ColumnType`] for a wanted column that
/// holds no plain numbers, [`Error::NoValue`] for an empty cell, and those of [`read_npy`](super::read_npy) about tables.
pub(super) fn load(path: &Path, options: &ReadOptions) -> Result<Loaded> {
    // The reader checks most of what a damaged file may claim, and panics at the rest.
    catch_unwind(AssertUnwindSafe(|| read(path, options)))
        .unwrap_or_else(|_| Err(damaged(path, "it contradicts itself")))
}

#[expect(clippy::indexing_slicing, reason = "as many values as rows, as was checked")]
fn read(path: &Path, options: &ReadOptions) -> Result<Loaded> {
    let place = Place::file(path);
    let file = File::open(path).map_err(Error::io("open", &place))?;
    let reader = SerializedFileReader::new(file).map_err(|error| damaged(path, error))?;
    let metadata = reader.metadata();
    let schema = metadata.file_metadata().schema_descr();
    let names = schema.columns().iter().map(|column| column.path().string()).collect();
    let mut incoming = Incoming::new(place, options, Some(names), schema.num_columns())?;
    let positions = incoming.choice().positions.clone();
    for &position in &positions {
        check_type(&schema.column(position), &incoming, position, path)?;
    }
    for group in 0..metadata.num_row_groups() {
        let group = reader.get_row_group(group).map_err(|error| damaged(path, error))?;
        let rows = usize::try_from(group.metadata().num_rows());
        let rows = rows.map_err(|_| damaged(path, "a negative number of rows"))?;
        let mut columns = Vec::with_capacity(positions.len());
        for &position in &positions {
            let column = group.get_column_reader(position).map_err(|error| damaged(path, error))?;
            let descriptor = schema.column(position);
            let values = values(column, &descriptor, rows).map_err(|error| damaged(path, error))?;
            if values.len() != rows {
                let found = values.len();
                let what = format!("expected {rows} values in a column, found {found}");
                return Err(damaged(path, what));
            }
            columns.push(values);
        }
        if positions.is_empty() {
            continue;
        }
        let mut row = Vec::with_capacity(positions.len());
        for i in 0..rows {
            row.clear();
            for (values, &position) in columns.iter().zip(&positions) {
                let missing = || Error::NoValue {
                    place: Place::file(path),
                    row: incoming.row(),
                    column: incoming.label(position),
                };
                row.push(match (values[i], options.missing) {
                    (Some(value), _) => value,
                    (None, Missing::Drop) => f64::NAN,
                    (None, Missing::Refuse) => return Err(missing()),
                });
            }
            incoming.push(&row, None)?;
        }
    }
    incoming.finish(None)
}

/// Refuses a column that holds no plain numbers.
fn check_type(
    column: &ColumnDescriptor,
    incoming: &Incoming<'_>,
    position: usize,
    path: &Path,
) -> Result<()> {
    let logical = column.logical_type_ref();
    let kind = match (column.physical_type(), logical) {
        _ if column.max_rep_level() > 0 => "lists",
        (Type::BOOLEAN | Type::FLOAT | Type::DOUBLE, _) => return Ok(()),
        (Type::INT32 | Type::INT64, None | Some(LogicalType::Integer(_))) => return Ok(()),
        (Type::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::Float16)) => return Ok(()),
        (_, Some(LogicalType::Decimal(_))) => "decimal numbers",
        (_, Some(LogicalType::Date | LogicalType::Time(_) | LogicalType::Timestamp(_)))
        | (Type::INT96, _) => "dates or times",
        _ => "text or bytes",
    };
    Err(Error::ColumnType { place: Place::file(path), column: incoming.label(position), kind })
}

/// The values of one column of a row group, none where there is none.
fn values(
    column: ColumnReader,
    descriptor: &ColumnDescriptor,
    rows: usize,
) -> Result<Vec<Option<f64>>, ParquetError> {
    let unsigned = matches!(
        descriptor.logical_type_ref(),
        Some(LogicalType::Integer(integer)) if !integer.is_signed
    );
    let optional = descriptor.max_def_level();
    match column {
        ColumnReader::BoolColumnReader(c) => decode(c, optional, rows, |v| f64::from(u8::from(*v))),
        ColumnReader::Int32ColumnReader(c) if unsigned => {
            decode(c, optional, rows, |v| f64::from(v.cast_unsigned()))
        }
        ColumnReader::Int32ColumnReader(c) => decode(c, optional, rows, |v| f64::from(*v)),
        ColumnReader::Int64ColumnReader(c) if unsigned => {
            decode(c, optional, rows, |v| v.cast_unsigned() as f64)
        }
        ColumnReader::Int64ColumnReader(c) => decode(c, optional, rows, |v| *v as f64),
        ColumnReader::FloatColumnReader(c) => decode(c, optional, rows, |v| f64::from(*v)),
        ColumnReader::DoubleColumnReader(c) => decode(c, optional, rows, |v| *v),
        ColumnReader::FixedLenByteArrayColumnReader(c) => {
            decode(c, optional, rows, |v: &FixedLenByteArray| match *v.data() {
                [low, high] => half(u16::from_le_bytes([low, high])),
                _ => f64::NAN,
            })
        }
        _ => Err(ParquetError::General("a column of another type".to_owned())),
    }
}

/// All values of a column that has no lists: `optional` is the level at which there is a value.
fn decode<T: DataType>(
    mut column: ColumnReaderImpl<T>,
    optional: i16,
    rows: usize,
    number: impl Fn(&T::T) -> f64,
) -> Result<Vec<Option<f64>>, ParquetError> {
    let mut all = Vec::new();
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    while all.len() < rows {
        levels.clear();
        values.clear();
        let wanted = BLOCK.min(rows - all.len());
        let (read, ..) = column.read_records(wanted, Some(&mut levels), None, &mut values)?;
        if read == 0 {
            break;
        }
        let mut values = values.iter().map(&number);
        if optional == 0 {
            all.extend(values.map(Some));
        } else {
            let is_there = levels.iter().map(|&level| level == optional);
            all.extend(is_there.map(|there| if there { values.next() } else { None }));
        }
    }
    Ok(all)
}

fn damaged(path: &Path, what: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    Error::Parquet { path: path.to_path_buf(), source: what.into() }
}
