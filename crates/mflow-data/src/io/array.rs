//! Numbers to be written.

use super::Table;
use super::table::to_f32;
use crate::{Error, Place, Result};

/// The precision in which numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// Single precision, little endian: `<f4`.
    F32,
    /// Double precision, little endian: `<f8`.
    F64,
}

/// A vector, a matrix or a stack of matrices to be written, borrowed. Values need not be finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Array<'a> {
    rows: usize,
    /// `None` for a vector.
    cols: Option<usize>,
    /// Of a stack: the length of its last axis, of which `cols` is a multiple.
    last: Option<usize>,
    /// The shape of a row that has several dimensions, whose product is `cols`.
    row_shape: Option<&'a [usize]>,
    values: &'a [f64],
    columns: Option<&'a [String]>,
    dtype: Dtype,
}

impl<'a> Array<'a> {
    /// A vector of shape `[values.len()]`.
    #[must_use]
    pub fn vector(values: &'a [f64], dtype: Dtype) -> Self {
        Self {
            rows: values.len(),
            cols: None,
            last: None,
            row_shape: None,
            values,
            columns: None,
            dtype,
        }
    }

    /// A matrix of shape `[rows, cols]`, its values row after row.
    ///
    /// # Errors
    ///
    /// [`Error::TableSize`] where the number of values is not `rows * cols`.
    pub fn matrix(rows: usize, cols: usize, values: &'a [f64], dtype: Dtype) -> Result<Self> {
        if rows.checked_mul(cols) != Some(values.len()) {
            return Err(Error::TableSize { rows, cols, found: values.len() });
        }
        let cols = Some(cols);
        Ok(Self { rows, cols, last: None, row_shape: None, values, columns: None, dtype })
    }

    /// A stack of matrices of this shape, its values row after row; in a `.csv` file a matrix is a row.
    ///
    /// # Errors
    ///
    /// [`Error::TableSize`] where the number of values is not the product of the shape.
    pub fn stack(shape: [usize; 3], values: &'a [f64], dtype: Dtype) -> Result<Self> {
        let [rows, cols, last] = shape;
        let found = values.len();
        let cols = cols.checked_mul(last).ok_or(Error::TableSize { rows, cols, found })?;
        Ok(Self { last: Some(last), ..Self::matrix(rows, cols, values, dtype)? })
    }

    /// A table, with its columns' names and the shape of its rows.
    #[must_use]
    pub fn table(table: &'a Table, dtype: Dtype) -> Self {
        Self {
            rows: table.rows(),
            cols: Some(table.cols()),
            last: None,
            row_shape: table.row_shape(),
            values: table.values(),
            columns: table.columns(),
            dtype,
        }
    }

    /// The same array, its columns named; only `.csv` keeps the names. A vector is one column.
    ///
    /// # Errors
    ///
    /// [`Error::ColumnNames`] where there are not as many names as columns.
    pub fn with_columns(self, columns: &'a [String]) -> Result<Self> {
        if columns.len() != self.cols() {
            return Err(Error::ColumnNames { expected: self.cols(), found: columns.len() });
        }
        Ok(Self { columns: Some(columns), ..self })
    }

    /// The same array, each of its rows an array of this shape, its last index fastest; in a `.csv` file it stays a row.
    ///
    /// # Errors
    ///
    /// [`Error::TableSize`] where the product of the shape is not the number of columns.
    pub fn with_row_shape(self, shape: &'a [usize]) -> Result<Self> {
        let cols = shape.iter().try_fold(1_usize, |product, &d| product.checked_mul(d));
        if cols != Some(self.cols()) {
            let (rows, found) = (self.rows, self.values.len());
            return Err(Error::TableSize { rows, cols: cols.unwrap_or(usize::MAX), found });
        }
        Ok(Self { row_shape: Some(shape), ..self })
    }

    /// The shape: `[rows]`, `[rows, cols]`, the three numbers of a stack, or the rows with the shape of each.
    #[must_use]
    pub fn shape(&self) -> Vec<usize> {
        if let Some(row) = self.row_shape {
            return std::iter::once(self.rows).chain(row.iter().copied()).collect();
        }
        match (self.cols, self.last) {
            (Some(cols), Some(last)) => vec![self.rows, cols / last.max(1), last],
            (cols, _) => std::iter::once(self.rows).chain(cols).collect(),
        }
    }

    /// The number of columns, 1 for a vector.
    pub(super) fn cols(&self) -> usize {
        self.cols.unwrap_or(1)
    }

    /// The columns' names.
    pub(super) fn columns(&self) -> Option<&'a [String]> {
        self.columns
    }

    /// The values in the precision in which they are written to `place`.
    ///
    /// # Errors
    ///
    /// [`Error::F32Overflow`] for a finite value that would become infinite.
    pub(super) fn numbers(&self, place: &Place) -> Result<Numbers<'a>> {
        match self.dtype {
            Dtype::F64 => Ok(Numbers::F64(self.values)),
            Dtype::F32 => to_f32(place, self.columns, self.cols(), self.values).map(Numbers::F32),
        }
    }
}

/// Values in the precision in which they are written.
pub(super) enum Numbers<'a> {
    F32(Vec<f32>),
    F64(&'a [f64]),
}

impl Numbers<'_> {
    /// The number of bytes that they take in binary.
    pub(super) fn byte_len(&self) -> usize {
        match self {
            Self::F32(values) => size_of_val(values.as_slice()),
            Self::F64(values) => size_of_val(*values),
        }
    }
}
