//! Columns of a row group, decoded.

use std::path::Path;

use parquet::basic::{LogicalType, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{DataType, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::reader::FileReader;
use parquet::schema::types::ColumnDescriptor;

use super::super::npy_dtype::half;
use super::super::unpacked::{most, refusal};
use super::damaged;
use crate::{Error, Place, Result};

/// Values read at a time: memory grows with what is there, and not with what a file claims.
const BLOCK: usize = 1 << 16;

/// The columns at `positions` of row group `number`, each with as many values as the group has rows; none where there is none.
pub(super) fn columns(
    reader: &dyn FileReader,
    number: usize,
    positions: &[usize],
    path: &Path,
) -> Result<(usize, Vec<Vec<Option<f64>>>)> {
    let schema = reader.metadata().file_metadata().schema_descr();
    let group = reader.get_row_group(number).map_err(|error| damaged(path, error))?;
    let rows = rows(group.metadata().num_rows(), path)?;
    let mut columns = Vec::with_capacity(positions.len());
    for &position in positions {
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
    Ok((rows, columns))
}

/// Refuses rows that would take far more memory than a file of `len` bytes: a value that is repeated is told with its number.
pub(super) fn check_size(rows: usize, columns: usize, len: u64, path: &Path) -> Result<()> {
    let bytes = (rows as u64).saturating_mul(columns as u64).saturating_mul(8);
    match bytes > most(len) {
        true => Err(damaged(path, refusal(len))),
        false => Ok(()),
    }
}

/// The number of rows that a group claims.
pub(super) fn rows(claimed: i64, path: &Path) -> Result<usize> {
    usize::try_from(claimed).map_err(|_| damaged(path, "a negative number of rows"))
}

/// Refuses a column that holds no plain numbers.
pub(super) fn check_type(column: &ColumnDescriptor, label: String, path: &Path) -> Result<()> {
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
    Err(Error::ColumnType { place: Place::file(path), column: label, kind })
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
