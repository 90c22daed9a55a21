//! What comes of reading a table: the table, and what is to be said about it.

use std::collections::BTreeSet;
use std::fmt;

use super::table::column_label;
use super::{Choice, Missing, ReadOptions, Table};
use crate::{Error, Place, Result};

/// A table as it was read, with what was left out and what is to be said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The table.
    pub table: Table,
    /// The columns that it has of the file, if that has more or has them in another order.
    pub choice: Option<Choice>,
    /// The rows of the file that were left out because a value was missing, counting from 0, in order.
    pub dropped: Vec<usize>,
    /// What whoever asked for the table should know.
    pub warnings: Vec<Warning>,
    place: Place,
}

/// What may be wrong with a table that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A column numbers the rows.
    RowIndex {
        /// Where.
        place: Place,
        /// The column, as [`Table::column_label`] names it.
        column: String,
    },
    /// Rows were left out because a value was missing.
    Dropped {
        /// Where.
        place: Place,
        /// How many rows were left out.
        dropped: usize,
        /// Of how many.
        rows: usize,
    },
    /// Images were left out that could not be used.
    Images {
        /// The folder.
        place: Place,
        /// What is wrong with each, in the order of their names.
        skipped: Vec<String>,
        /// How many images there are.
        of: usize,
    },
}

/// As many images are named that were left out.
const NAMED: usize = 10;

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RowIndex { place, column } => write!(
                f,
                "{place}: {column} seems to number the rows, and is read as a feature; drop it if it is none"
            ),
            Self::Dropped { place, dropped, rows } => {
                write!(f, "{place}: {dropped} of {rows} rows are left out, as values are missing")
            }
            Self::Images { place, skipped, of } => {
                let left = skipped.len().saturating_sub(NAMED);
                let named = skipped.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
                write!(f, "{place}: {} of {of} images are left out: {named}", skipped.len())?;
                if left > 0 { write!(f, "; and {left} more") } else { Ok(()) }
            }
        }
    }
}

impl Loaded {
    /// Rows of the file, those that were left out included.
    fn rows(&self) -> usize {
        self.table.rows() + self.dropped.len()
    }

    /// The same without the rows at these positions of the file.
    fn without(mut self, rows: &BTreeSet<usize>) -> Result<Self> {
        if rows.len() == self.dropped.len() {
            return Ok(self);
        }
        let all = self.rows();
        let kept = (0..all).filter(|row| self.dropped.binary_search(row).is_err());
        let is_kept: Vec<bool> = kept.map(|row| !rows.contains(&row)).collect();
        self.table = self
            .table
            .with_rows(&is_kept)
            .ok_or_else(|| Error::AllMissing { place: self.place.clone(), rows: all })?;
        self.dropped = rows.iter().copied().collect();
        Ok(self)
    }
}

/// Tables whose rows belong together: a row that was left out of one is left out of all. Tables of other numbers of rows stay
/// as they are.
///
/// # Errors
///
/// [`Error::AllMissing`] if no row is left.
pub fn align_rows(tables: Vec<Loaded>) -> Result<Vec<Loaded>> {
    let Some(rows) = tables.first().map(Loaded::rows) else { return Ok(tables) };
    let belongs = |table: &Loaded| table.rows() == rows;
    let together = tables.iter().filter(|table| belongs(table));
    let dropped: BTreeSet<usize> = together.flat_map(|table| table.dropped.clone()).collect();
    let align = |table: Loaded| if belongs(&table) { table.without(&dropped) } else { Ok(table) };
    tables.into_iter().map(align).collect()
}

/// Rows as they come from a file, of the columns that are wanted.
#[derive(Debug)]
pub(super) struct Incoming<'a> {
    place: Place,
    options: &'a ReadOptions,
    /// Of all columns of the file.
    names: Option<Vec<String>>,
    choice: Choice,
    values: Vec<f64>,
    /// Rows so far.
    rows: usize,
    dropped: Vec<usize>,
}

impl<'a> Incoming<'a> {
    /// Of a file of `of` columns with these names.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchColumn`].
    pub(super) fn new(
        place: Place,
        options: &'a ReadOptions,
        names: Option<Vec<String>>,
        of: usize,
    ) -> Result<Self> {
        let positions = options.columns.resolve(&place, names.as_deref(), of)?;
        let choice = Choice { positions, of };
        Ok(Self { place, options, names, choice, values: vec![], rows: 0, dropped: vec![] })
    }

    /// The columns that are wanted.
    pub(super) fn choice(&self) -> &Choice {
        &self.choice
    }

    /// The next row, from 0.
    pub(super) fn row(&self) -> usize {
        self.rows
    }

    /// Column `position` of the file for a message.
    pub(super) fn label(&self, position: usize) -> String {
        column_label(self.names.as_deref(), position)
    }

    /// The next row, of the wanted columns; a missing value is NaN.
    ///
    /// # Errors
    ///
    /// [`Error::NonFinite`].
    #[expect(
        clippy::indexing_slicing,
        reason = "positions are below the number of columns of the file, as `resolve` gives them, and rows have as many"
    )]
    pub(super) fn push(&mut self, row: &[f64], line: Option<u64>) -> Result<()> {
        if self.options.missing == Missing::Drop && row.iter().any(|value| value.is_nan()) {
            self.dropped.push(self.rows);
        } else if let Some(j) = row.iter().position(|value| !value.is_finite()) {
            return Err(Error::NonFinite {
                place: self.place.clone(),
                row: self.rows,
                line,
                column: self.label(self.choice.positions[j]),
                value: row[j],
            });
        } else {
            self.values.extend_from_slice(row);
        }
        self.rows += 1;
        Ok(())
    }

    /// All rows at once, of all columns of the file, row after row.
    ///
    /// # Errors
    ///
    /// [`Error::NonFinite`].
    #[expect(
        clippy::indexing_slicing,
        reason = "positions are below the number of columns of the file, as `resolve` gives them, and rows have as many"
    )]
    pub(super) fn push_all(&mut self, values: Vec<f64>, rows: usize) -> Result<()> {
        let Choice { of, positions } = self.choice.clone();
        // Nothing to pick and nothing to drop: without a copy.
        if positions.iter().copied().eq(0..of) && values.iter().all(|value| value.is_finite()) {
            (self.values, self.rows) = (values, rows);
            return Ok(());
        }
        let mut picked = Vec::with_capacity(positions.len());
        for row in values.chunks_exact(of.max(1)) {
            picked.clear();
            picked.extend(positions.iter().map(|&position| row[position]));
            self.push(&picked, None)?;
        }
        Ok(())
    }

    /// The table. `shape` is that of a row of the file, if it has several dimensions.
    ///
    /// # Errors
    ///
    /// [`Error::NoRows`], [`Error::NoColumns`], and [`Error::AllMissing`].
    #[expect(
        clippy::indexing_slicing,
        reason = "positions are below the number of columns of the file, as `resolve` gives them, and rows have as many"
    )]
    pub(super) fn finish(self, shape: Option<Vec<usize>>) -> Result<Loaded> {
        let Self { place, options, names, choice, values, rows, dropped } = self;
        let cols = choice.positions.len();
        if rows > 0 && cols > 0 && dropped.len() == rows {
            return Err(Error::AllMissing { place, rows });
        }
        let chosen =
            |names: &Vec<String>| choice.positions.iter().map(|&i| names[i].clone()).collect();
        let columns = names.as_ref().map(chosen);
        let whole = choice.positions.iter().copied().eq(0..choice.of);
        let mut table = Table::at(&place, columns, rows - dropped.len(), cols, values)?;
        if whole && let Some(shape) = shape {
            table = table.with_row_shape(shape);
        }
        let positions = choice.positions.clone();
        let choice = (!whole).then_some(choice);
        let mut loaded = Loaded { table, choice, dropped, warnings: Vec::new(), place };
        if options.columns.is_open()
            && let Some(index) = row_index(&loaded)
        {
            let column = column_label(names.as_deref(), positions[index]);
            loaded.warnings.push(Warning::RowIndex { place: loaded.place.clone(), column });
        }
        if !loaded.dropped.is_empty() {
            let (place, dropped) = (loaded.place.clone(), loaded.dropped.len());
            loaded.warnings.push(Warning::Dropped { place, dropped, rows });
        }
        Ok(loaded)
    }
}

/// Fewer rows than these count by chance.
const FEW: usize = 3;

/// The name that pandas gives an index without one.
const PANDAS_INDEX: &str = "__index_level_0__";

/// Which of several columns numbers the rows. The first does if it counts them, or holds whole numbers under no name, as an
/// index does that was written before some rows were left out.
fn row_index(loaded: &Loaded) -> Option<usize> {
    let table = &loaded.table;
    // A row that has a shape is one thing, such as an image, and has no column for an index.
    if table.cols() < 2 || table.rows() < FEW || table.row_shape().is_some() {
        return None;
    }
    let names = table.columns().unwrap_or_default();
    if let Some(index) = names.iter().position(|name| name == PANDAS_INDEX) {
        return Some(index);
    }
    let first = || table.values().iter().step_by(table.cols());
    let rows = (0..loaded.rows()).filter(|row| loaded.dropped.binary_search(row).is_err());
    let counts_from = |start: usize| {
        let mut pairs = first().zip(rows.clone());
        pairs.all(|(&value, row)| value == (row + start) as f64)
    };
    let is_unnamed = names.first().is_some_and(String::is_empty);
    let is_whole = || first().all(|value| value.fract() == 0.0);
    (counts_from(0) || counts_from(1) || is_unnamed && is_whole()).then_some(0)
}
