//! What can go wrong with data, said so that the file, the row and the column can be found.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

use mflow_bijectors::printable;

use crate::place::{columns, of_path, on_one_line, quoted, start_of};
use crate::{Place, Prior};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong. Rows and columns are counted from 0, lines of a text file from 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on a file.
    #[error("cannot {action} {place}")]
    Io {
        /// What was being done: `open`, `read`, `write`, ...
        action: &'static str,
        /// To what.
        place: Place,
        /// What the system said.
        source: io::Error,
    },

    /// The disk, or the user's share of it, is full. Nothing was left behind.
    #[error("no space left to write {}: the disk or its quota is full", of_path(path))]
    StorageFull {
        /// The file that was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The file's extension says nothing that this crate knows.
    #[error("{}: expected the extension {expected}, found {}", of_path(path), printable(found))]
    Extension {
        /// The file.
        path: PathBuf,
        /// The known extensions.
        expected: &'static str,
        /// The extension found, quoted, or `none`.
        found: String,
    },

    /// The bytes at the start are not those of a NumPy array.
    #[error("{place}: expected a NumPy array (bytes \\x93NUMPY first), found \"{found}\"")]
    NotNpy {
        /// Where.
        place: Place,
        /// The first bytes, escaped.
        found: String,
    },

    /// A version of the `.npy` format that does not exist yet.
    #[error("{place}: expected .npy format 1.0, 2.0 or 3.0, found {major}.{minor}")]
    NpyVersion {
        /// Where.
        place: Place,
        /// The major version found.
        major: u8,
        /// The minor version found.
        minor: u8,
    },

    /// The header of a NumPy array cannot be understood.
    #[error("{place}: in the .npy header: {}", printable(problem))]
    NpyHeader {
        /// Where.
        place: Place,
        /// What was expected and what was found.
        problem: String,
    },

    /// The array holds something that is not a table of real numbers.
    #[error(
        "{place}: expected booleans, integers (1, 2, 4 or 8 bytes) or floats (2, 4 or 8 bytes), \
         found {kind}, dtype {}",
        printable(found)
    )]
    Dtype {
        /// Where.
        place: Place,
        /// What it holds, in words.
        kind: &'static str,
        /// The dtype as the header spells it.
        found: String,
    },

    /// An array that is to be read row by row lies column by column.
    #[error(
        "{place}: expected an array in C order, whose rows can be read one by one, found Fortran \
         order; save numpy.ascontiguousarray of it"
    )]
    FortranOrder {
        /// Where.
        place: Place,
    },

    /// The array has no rows, being a single number, or more dimensions than there are.
    #[error(
        "{place}: expected the shape [rows], [rows, columns] or [rows, ..] of up to 64 dimensions, found {}", start_of(&format!("{shape:?}"))
    )]
    Rank {
        /// Where.
        place: Place,
        /// The shape found.
        shape: Vec<u64>,
    },

    /// There are no rows.
    #[error("{place}: holds no rows")]
    NoRows {
        /// Where.
        place: Place,
    },

    /// There are no columns.
    #[error("{place}: holds no columns")]
    NoColumns {
        /// Where.
        place: Place,
    },

    /// The shape claims more values than this machine can hold.
    #[error("{place}: the shape {shape:?} holds more values than fit in memory")]
    TooLarge {
        /// Where.
        place: Place,
        /// The shape claimed.
        shape: Vec<u64>,
    },

    /// The file ends before the data its header claims.
    #[error("{place}: truncated: expected {expected} bytes of data, found {found}")]
    Truncated {
        /// Where.
        place: Place,
        /// Bytes that the header claims.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },

    /// The file goes on after the data its header claims.
    #[error("{place}: trailing bytes: expected {expected} bytes of data, found {found}")]
    TrailingBytes {
        /// Where.
        place: Place,
        /// Bytes that the header claims.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },

    /// A value is NaN or infinite.
    #[error(
        "{place}: expected finite numbers, found {value} in row {row} (counting from 0{}), \
         {column}",
        line.map(|line| format!("; line {line}")).unwrap_or_default()
    )]
    NonFinite {
        /// Where.
        place: Place,
        /// The row of the data, from 0.
        row: usize,
        /// The line of the text file, from 1, if it is one.
        line: Option<u64>,
        /// The column, as [`Table::column_label`](crate::io::Table::column_label) names it.
        column: String,
        /// The value.
        value: f64,
    },

    /// A finite value is too large for single precision.
    #[error(
        "{place}: {value:e} in row {row} (counting from 0), {column}, overflows a 32-bit float"
    )]
    F32Overflow {
        /// Where, or where to.
        place: Place,
        /// The row of the data, from 0.
        row: usize,
        /// The column, as [`Table::column_label`](crate::io::Table::column_label) names it.
        column: String,
        /// The value.
        value: f64,
    },

    /// The number of values does not agree with the shape.
    #[error("a table of {rows} rows and {cols} columns does not hold {found} values")]
    TableSize {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        cols: usize,
        /// Values given.
        found: usize,
    },

    /// The number of column names is not the number of columns.
    #[error("expected {expected} column names, found {found}")]
    ColumnNames {
        /// The number of columns.
        expected: usize,
        /// The number of names.
        found: usize,
    },

    /// The table has another number of columns than what it is for.
    #[error("{}: expected {expected} columns, found {found}", of_path(path))]
    Columns {
        /// The file.
        path: PathBuf,
        /// Columns expected.
        expected: usize,
        /// Columns found.
        found: usize,
    },

    /// The archive is no zip file, or uses what is not supported (encryption, other compression).
    #[error("{place}: cannot be read or written as an .npz archive")]
    Zip {
        /// The archive.
        place: Place,
        /// What the zip reader or writer said.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// The archive has no array of this name.
    #[error(
        "{}: expected an array `{}`, found {}",
        of_path(path),
        on_one_line(name),
        quoted(names)
    )]
    NoSuchArray {
        /// The archive.
        path: PathBuf,
        /// The array asked for.
        name: String,
        /// The arrays there are.
        names: Vec<String>,
    },

    /// The archive holds several arrays and none is called `x`.
    #[error("{}: expected an array `x`, or one array only, found {}", of_path(path), quoted(names))]
    WhichArray {
        /// The archive.
        path: PathBuf,
        /// The arrays there are.
        names: Vec<String>,
    },

    /// The text file is not UTF-8.
    #[error("{}, line {line}: expected text in UTF-8, found other bytes", of_path(path))]
    NotText {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },

    /// The first line is neither names nor numbers.
    #[error(
        "{}, line {line}: expected names only (a header) or numbers only, found the number \
         {number:?} and {text:?}",
        of_path(path)
    )]
    MixedFirstRow {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The first field that is a number.
        number: String,
        /// The first field that is not.
        text: String,
    },

    /// The first line holds numbers, and they count the columns.
    #[error(
        "{}, line {line}: expected names or a row, found the numbers 0 to {last}, which may be either; say with the \
         option `header` whether this line is a header",
        of_path(path)
    )]
    CountingHeader {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The last number.
        last: usize,
    },

    /// A number has a comma where a dot should be.
    #[error(
        "{}, line {line}: expected numbers with a dot, found a decimal comma in {found:?}",
        of_path(path)
    )]
    DecimalComma {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The number.
        found: String,
    },

    /// A line looks like a comment, and comments were not to be skipped.
    #[error(
        "{}, line {line}: expected names or numbers, found a line that starts with `#`; if it is a comment, say so \
         with the option `comment`",
        of_path(path)
    )]
    Comment {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },

    /// The file is no Parquet file, is damaged, or uses what is not supported.
    #[error("{}: cannot be read as a Parquet file", of_path(path))]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// A column that is wanted holds something else than numbers.
    #[error("{place}, {column}: expected booleans, integers or floats, found {kind}")]
    ColumnType {
        /// Where.
        place: Place,
        /// The column, as [`Table::column_label`](crate::io::Table::column_label) names it.
        column: String,
        /// What it holds, in words.
        kind: &'static str,
    },

    /// A cell of a table holds nothing.
    #[error("{place}, row {row} (counting from 0), {column}: expected a number, found nothing")]
    NoValue {
        /// Where.
        place: Place,
        /// The row, from 0.
        row: usize,
        /// The column, as [`Table::column_label`](crate::io::Table::column_label) names it.
        column: String,
    },

    /// The file has no such column, which was asked for.
    #[error("{place}: expected a column `{}`, found {}", on_one_line(name), columns(names, *cols))]
    NoSuchColumn {
        /// Where.
        place: Place,
        /// The name or position asked for.
        name: String,
        /// The names there are, if the columns have names.
        names: Vec<String>,
        /// How many columns there are.
        cols: usize,
    },

    /// Every row was left out, as each lacks a value.
    #[error("{place}: expected a row without a missing value, found none among {rows} rows")]
    AllMissing {
        /// Where.
        place: Place,
        /// How many rows there are.
        rows: usize,
    },

    /// A line has more or fewer fields than the first.
    #[error("{}, line {line}: expected {expected} fields, found {found}", of_path(path))]
    Ragged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Fields in the first line.
        expected: usize,
        /// Fields in this line.
        found: usize,
    },

    /// A field is empty.
    #[error("{}, line {line}, {column}: expected a number, found nothing", of_path(path))]
    EmptyField {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column, as [`Table::column_label`](crate::io::Table::column_label) names it.
        column: String,
    },

    /// A field is not a number.
    #[error("{}, line {line}, {column}: expected a number, found {found:?}", of_path(path))]
    NotANumber {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column, as [`Table::column_label`](crate::io::Table::column_label) names it.
        column: String,
        /// The field, its first characters if it is long.
        found: String,
    },

    /// A line between two rows is blank: in a table of one column it may be a missing value.
    #[error("{}, line {line}: expected a row, found a blank line", of_path(path))]
    BlankLine {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },

    /// A line goes on and on.
    #[error(
        "{}, line {line}: expected a line of less than {limit} bytes, found a longer one",
        of_path(path)
    )]
    LongLine {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Bytes that a line has at most.
        limit: u64,
    },

    /// A Les Houches event file is not as it should be.
    #[error("{}, line {line}: expected {expected}, found {}", of_path(path), printable(found))]
    Lhe {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What there should be.
        expected: String,
        /// What there is.
        found: String,
    },

    /// The header of an idx file, the format of MNIST, cannot be understood.
    #[error("{place}: in the idx header: {problem}")]
    Idx {
        /// Where.
        place: Place,
        /// What was expected and what was found.
        problem: String,
    },

    /// An image is not as it should be, or not as the others are.
    #[error("{}: expected {}, found {found}", of_path(path), printable(expected))]
    Image {
        /// The file.
        path: PathBuf,
        /// What there should be.
        expected: String,
        /// What there is.
        found: String,
    },

    /// The file is damaged, or is no image.
    #[error("{}: cannot be read as a PNG or JPEG image", of_path(path))]
    ImageFile {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// A folder has no images.
    #[error(
        "{}: expected PNG or JPEG files (.png, .jpg, .jpeg) in the folder itself, found none among {entries} entries",
        of_path(path)
    )]
    NoImages {
        /// The folder.
        path: PathBuf,
        /// How many entries it has.
        entries: usize,
    },

    /// No image of a folder can be used.
    #[error(
        "{}: expected an image that can be used, found none among {}: {first}",
        of_path(path),
        found
    )]
    AllSkipped {
        /// The folder.
        path: PathBuf,
        /// How many images there are.
        found: usize,
        /// What is wrong with the first.
        first: String,
    },

    /// Rows that are to be images have no shape `[H, W]` or `[H, W, C]`.
    #[error(
        "{place}: expected images [n, H, W] or [n, H, W, C] with 1 channel (grey) or 3 (colour), found rows of the \
         shape {found:?}"
    )]
    NoImageShape {
        /// Where.
        place: Place,
        /// The shape of a row.
        found: Vec<usize>,
    },

    /// A pixel is no byte.
    #[error(
        "{place}, row {row} (counting from 0), value {value}: expected a whole number from 0 to 255, found {found}"
    )]
    Pixel {
        /// Where.
        place: Place,
        /// The row, from 0.
        row: usize,
        /// The position in the row, from 0.
        value: usize,
        /// What is there.
        found: f64,
    },

    /// A number that says how images are made or changed is out of range.
    #[error("{what}: expected {expected}, found {found}")]
    ImageSetting {
        /// What it says.
        what: &'static str,
        /// What it may be.
        expected: String,
        /// What it is.
        found: usize,
    },

    /// A factor of a scene is out of its range.
    #[error(
        "factors, row {row} (counting from 0), factor {factor}: expected a number from -1 to 1, found {found}"
    )]
    Factor {
        /// The row, from 0.
        row: usize,
        /// The factor, from 0.
        factor: usize,
        /// The value given.
        found: f64,
    },

    /// No simulator has this name.
    #[error("expected one of the simulators {}, found `{name}`", quoted(known))]
    UnknownSimulator {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },

    /// A batch does not have the number of values that its rows need.
    #[error("{what}: expected {rows} rows of {cols} values, found {found} values")]
    BatchSize {
        /// Which batch.
        what: &'static str,
        /// Rows expected.
        rows: usize,
        /// Values in a row.
        cols: usize,
        /// Values given.
        found: usize,
    },

    /// A batch does not hold a whole number of rows.
    #[error("{what}: expected rows of {cols} values, found {found} values: not a whole number")]
    PartialRow {
        /// Which batch.
        what: &'static str,
        /// Values in a row.
        cols: usize,
        /// Values given.
        found: usize,
    },

    /// A parameter lies outside the support of the prior.
    #[error(
        "parameters, row {row} (counting from 0), {name}: expected a value that its prior has, \
         {prior}; found {found}"
    )]
    Parameter {
        /// The row, from 0.
        row: usize,
        /// The parameter.
        name: &'static str,
        /// Its prior.
        prior: Prior,
        /// The value given.
        found: f64,
    },

    /// The text of a prior says none.
    #[error(
        "prior `{text}`: expected {expected}, found {found}; write it as in `normal:0,1` or `uniform:-1,1`"
    )]
    PriorText {
        /// The text.
        text: String,
        /// What it should have.
        expected: &'static str,
        /// What it has there.
        found: String,
    },

    /// Noise has no such size.
    #[error("noise: expected a finite number, 0 or more, found {found}")]
    Noise {
        /// The size given, relative to the spread of the data.
        found: f64,
    },

    /// Rows that are all the same have no spread for noise to be in proportion to.
    #[error(
        "noise relative to the spread of the data: expected 2 or more rows that differ, found {rows} \
         that do not"
    )]
    NoSpread {
        /// How many rows there are.
        rows: usize,
    },

    /// A longitude or latitude is NaN or out of range.
    #[error(
        "places, row {row} (counting from 0), {column}: expected degrees from {low} to {high}, \
         found {found}"
    )]
    Degrees {
        /// The row, from 0.
        row: usize,
        /// `longitude` or `latitude`.
        column: &'static str,
        /// The least value.
        low: f64,
        /// The greatest value.
        high: f64,
        /// The value given.
        found: f64,
    },

    /// A point at the origin has no longitude and latitude.
    #[error("data, row {row} (counting from 0): expected a direction, found the origin")]
    NoDirection {
        /// The row, from 0.
        row: usize,
    },

    /// A simulator has no such thing in closed form.
    #[error("{simulator}: has no `{what}`: it is not known in closed form")]
    Intractable {
        /// The simulator.
        simulator: &'static str,
        /// What was asked for.
        what: &'static str,
    },

    /// A data point is NaN or infinite.
    #[error(
        "data, row {row} (counting from 0), coordinate {coordinate}: expected a finite number, \
         found {found}"
    )]
    Coordinate {
        /// The row, from 0.
        row: usize,
        /// The coordinate, from 0.
        coordinate: usize,
        /// The value given.
        found: f64,
    },
}

impl Error {
    /// A closure for `map_err` that wraps an [`io::Error`].
    pub(crate) fn io(action: &'static str, place: &Place) -> impl FnOnce(io::Error) -> Self {
        let place = place.clone();
        move |source| Self::Io { action, place, source }
    }
}
