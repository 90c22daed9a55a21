//! A table of finite numbers, as the readers return it.

use crate::{Error, Place, Result};

/// A table with at least one row and one column, row-major, all of whose values are finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    columns: Option<Vec<String>>,
    rows: usize,
    cols: usize,
    values: Vec<f64>,
    /// None for a number or a vector.
    row_shape: Option<Vec<usize>>,
}

impl Table {
    /// A table of `rows` times `cols` values, row after row.
    ///
    /// # Errors
    ///
    /// [`Error::NoRows`] and [`Error::NoColumns`] for an empty one, [`Error::TableSize`] where
    /// the number of values is not `rows * cols`, and [`Error::NonFinite`] for the first value
    /// that is NaN or infinite.
    pub fn new(rows: usize, cols: usize, values: Vec<f64>) -> Result<Self> {
        Self::at(&Place::Memory, None, rows, cols, values)
    }

    /// As [`new`](Self::new), for numbers found at `place`, in columns of these names.
    #[expect(
        clippy::indexing_slicing,
        clippy::integer_division_remainder_used,
        reason = "a table has a column or more, and a value was found only where there are some"
    )]
    pub(crate) fn at(
        place: &Place,
        columns: Option<Vec<String>>,
        rows: usize,
        cols: usize,
        values: Vec<f64>,
    ) -> Result<Self> {
        if cols == 0 {
            return Err(Error::NoColumns { place: place.clone() });
        }
        if rows == 0 {
            return Err(Error::NoRows { place: place.clone() });
        }
        if rows.checked_mul(cols) != Some(values.len()) {
            return Err(Error::TableSize { rows, cols, found: values.len() });
        }
        if let Some(i) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::NonFinite {
                place: place.clone(),
                row: i / cols,
                line: None,
                column: column_label(columns.as_deref(), i % cols),
                value: values[i],
            });
        }
        let table = Self { columns: None, rows, cols, values, row_shape: None };
        match columns {
            Some(columns) => table.with_columns(columns),
            None => Ok(table),
        }
    }

    /// The same table, its columns named.
    ///
    /// # Errors
    ///
    /// [`Error::ColumnNames`] where there are not as many names as columns.
    pub fn with_columns(mut self, columns: Vec<String>) -> Result<Self> {
        if columns.len() != self.cols {
            return Err(Error::ColumnNames { expected: self.cols, found: columns.len() });
        }
        self.columns = Some(columns);
        Ok(self)
    }

    /// The same table, read of an array whose rows have this shape, of several dimensions, whose product is the number of
    /// columns.
    pub(super) fn with_row_shape(self, shape: Vec<usize>) -> Self {
        Self { row_shape: Some(shape), ..self }
    }

    /// The rows that are to be kept, in order, `is_kept` for each; none where there are no such rows.
    #[must_use]
    #[expect(
        clippy::integer_division_remainder_used,
        reason = "a table has a column or more, and a value was found only where there are some"
    )]
    pub fn with_rows(&self, is_kept: &[bool]) -> Option<Self> {
        let kept = self.values.chunks_exact(self.cols).zip(is_kept).filter(|(_, kept)| **kept);
        let values: Vec<f64> = kept.flat_map(|(row, _)| row).copied().collect();
        let rows = values.len() / self.cols;
        (rows > 0).then(|| {
            let (columns, row_shape) = (self.columns.clone(), self.row_shape.clone());
            Self { columns, rows, cols: self.cols, values, row_shape }
        })
    }

    /// The number of rows, at least 1.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns, at least 1.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All values, `[rows, cols]`.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// All values, `[rows, cols]`, without a copy.
    #[must_use]
    pub fn into_values(self) -> Vec<f64> {
        self.values
    }

    /// The shape of a row, where the file has arrays of more dimensions: `[4, 4, 3]` of images `[n, 4, 4, 3]`. The columns are
    /// its values, the last index fastest.
    #[must_use]
    pub fn row_shape(&self) -> Option<&[usize]> {
        self.row_shape.as_deref()
    }

    /// The columns' names, if the file gave any.
    #[must_use]
    pub fn columns(&self) -> Option<&[String]> {
        self.columns.as_deref()
    }

    /// Row `i`, `[cols]`; `None` past the last.
    #[must_use]
    pub fn row(&self, i: usize) -> Option<&[f64]> {
        self.values.chunks_exact(self.cols).nth(i)
    }

    /// The name of column `j`, or `column j` where it has none.
    #[must_use]
    pub fn column_name(&self, j: usize) -> String {
        match name(self.columns(), j) {
            Some(name) => name.to_owned(),
            None => format!("column {j}"),
        }
    }

    /// Column `j` for a message: `column 3 ("mass")`, or `column 3` where it has no name.
    #[must_use]
    pub fn column_label(&self, j: usize) -> String {
        column_label(self.columns(), j)
    }

    /// All values in single precision, `[rows, cols]`, each rounded to the nearest.
    ///
    /// # Errors
    ///
    /// [`Error::F32Overflow`] for the first value that would become infinite.
    pub fn to_f32(&self) -> Result<Vec<f32>> {
        to_f32(&Place::Memory, self.columns(), self.cols, &self.values)
    }
}

/// The column's name, if it has one that is not empty.
fn name(columns: Option<&[String]>, j: usize) -> Option<&str> {
    columns?.get(j).map(String::as_str).filter(|name| !name.is_empty())
}

/// Column `j` for a message.
pub(crate) fn column_label(columns: Option<&[String]>, j: usize) -> String {
    match name(columns, j) {
        Some(name) => format!("column {j} ({name:?})"),
        None => format!("column {j}"),
    }
}

/// Values that are at `place`, or on the way there, in single precision. What is not finite
/// stays what it is.
#[expect(
    clippy::integer_division_remainder_used,
    reason = "a table has a column or more, and a value was found only where there are some"
)]
pub(crate) fn to_f32(
    place: &Place,
    columns: Option<&[String]>,
    cols: usize,
    values: &[f64],
) -> Result<Vec<f32>> {
    let round = |(i, &value): (usize, &f64)| {
        let single = narrow(value);
        if value.is_finite() && single.is_infinite() {
            return Err(Error::F32Overflow {
                place: place.clone(),
                row: i / cols,
                column: column_label(columns, i % cols),
                value,
            });
        }
        Ok(single)
    };
    values.iter().enumerate().map(round).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to single precision is the purpose")]
pub(super) fn narrow(value: f64) -> f32 {
    value as f32
}
