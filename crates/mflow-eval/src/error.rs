//! The error type of this crate.

use std::io;
use std::path::PathBuf;

use mflow_bijectors::printable;

/// A result whose error is this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a statistic or a figure could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A mean was asked of no samples.
    #[error("the mean of no samples is undefined: expected at least one sample")]
    NoSamples,

    /// A sample is NaN or infinite, so no mean of it means anything.
    #[error("sample {index} of {count} is {value}: expected a finite number")]
    NonFiniteSample {
        /// Position of the first such sample.
        index: usize,
        /// Number of samples.
        count: usize,
        /// The sample.
        value: f64,
    },

    /// No weighted mean can be taken.
    #[error("weights of samples: expected {expected}, found {found}")]
    Weights {
        /// What they have to be.
        expected: String,
        /// What they are.
        found: String,
    },

    /// A sample does not hold a whole number of rows.
    #[error("a sample: expected rows of {cols} values, found {found} values: not a whole number")]
    Rows {
        /// Values in a row.
        cols: usize,
        /// Values given.
        found: usize,
    },

    /// Two samples cannot be compared.
    #[error("two samples: expected as many columns as the first has, {expected}, found {found}")]
    Columns {
        /// Columns of the first.
        expected: usize,
        /// Columns of the second.
        found: usize,
    },

    /// A statistic needs more.
    #[error("a sample: expected at least {expected} rows, found {found}")]
    TooFew {
        /// Rows needed.
        expected: usize,
        /// Rows given.
        found: usize,
    },

    /// A distance to a neighbour is zero, which says nothing of dimensions.
    #[error("row {row} (counting from 0) has a neighbour equal to it: expected different rows")]
    EqualRows {
        /// The row, from 0.
        row: usize,
    },

    /// Distances to neighbours that are all the same say nothing of dimensions either.
    #[error("the neighbours of every row are equally far from it: expected distances that differ")]
    EqualDistances,

    /// Squares of distances between rows would not be finite.
    #[error(
        "a sample: expected values of at most {largest:e}, whose squares are finite, found larger ones"
    )]
    Distances {
        /// The largest value that is taken.
        largest: f64,
    },

    /// An error by parts of a sample needs more of them.
    #[error("parts of a sample for its error: expected at least {expected}, found {found}")]
    Blocks {
        /// Parts needed.
        expected: usize,
        /// Parts asked for.
        found: usize,
    },

    /// A statistic by neighbours needs some.
    #[error("neighbours: expected at least {expected}, found {found}")]
    Neighbours {
        /// Neighbours needed.
        expected: usize,
        /// Neighbours asked for.
        found: usize,
    },

    /// Features cannot be computed as asked.
    #[error("features of images: expected {expected}, found {found}")]
    Features {
        /// What can be, in words.
        expected: String,
        /// What was asked for.
        found: String,
    },

    /// A file could not be read.
    #[error("{path}: cannot read", path = printable(&path.to_string_lossy()))]
    Read {
        /// The path given.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },

    /// A file does not hold the weights of a network.
    #[error("weights of a network in {path}: expected {expected}, found {found}", path = printable(&path.to_string_lossy()))]
    Network {
        /// The path given.
        path: PathBuf,
        /// What it has to hold.
        expected: String,
        /// What it holds.
        found: String,
    },

    /// The singular values of a matrix were not found.
    #[error("{what}: expected singular values of finite numbers, but their iteration did not end")]
    Decomposition {
        /// The statistic.
        what: &'static str,
    },

    /// A kernel's scale or a step is of no use.
    #[error("a scale: expected a positive number, found {found}")]
    Scale {
        /// The scale given.
        found: f64,
    },

    /// A table of a density cannot be made.
    #[error(
        "a table of a density: expected at least 2 points between finite bounds, found {points} from \
         {low} to {high}"
    )]
    Table {
        /// The lower bound.
        low: f64,
        /// The upper bound.
        high: f64,
        /// The points asked for.
        points: usize,
    },

    /// Bins would not be equal.
    #[error("{bins} bins of {ranks} ranks: expected at least 2, and a divisor of {ranks}")]
    Bins {
        /// Bins asked for.
        bins: usize,
        /// Ranks that there are.
        ranks: usize,
    },

    /// A rank cannot be one.
    #[error("a rank among {draws} draws: expected 0 to {draws}, found {found}")]
    Rank {
        /// The rank given.
        found: usize,
        /// Number of draws.
        draws: usize,
    },

    /// A chain starts where the density is zero or undefined.
    #[error("chain {chain} starts at log-density {found}: expected a finite number")]
    Start {
        /// The chain, from 0.
        chain: usize,
        /// The log-density at its start.
        found: f64,
    },

    /// A log-density or its derivative means nothing at a point that a sampler went to.
    #[error("{what} at {theta:?} is {found}: expected {expected}")]
    Density {
        /// Which number.
        what: &'static str,
        /// Where.
        theta: Vec<f64>,
        /// What it may be, in words.
        expected: &'static str,
        /// What it is.
        found: f64,
    },

    /// A parameter has no bounds to map the reals between.
    #[error("bounds: expected finite ones, the lower below the upper, found {low} and {high}")]
    Bounds {
        /// The lower bound.
        low: f64,
        /// The upper bound.
        high: f64,
    },

    /// The probability that a sampler aims at is none.
    #[error("the acceptance to aim at: expected more than 0 and less than 1, found {found}")]
    Acceptance {
        /// The probability given.
        found: f64,
    },

    /// A sampler gave up, for a reason that is not in the density's own errors.
    #[error("chain {chain} cannot go on: {reason}")]
    Sampler {
        /// The chain, from 0.
        chain: usize,
        /// What the sampler says.
        reason: String,
    },

    /// Chains of another number or length than is needed.
    #[error("chains: expected at least {chains} of the same {draws} or more draws, found {found}")]
    Chains {
        /// Chains needed.
        chains: usize,
        /// Draws of each needed.
        draws: usize,
        /// What was given, in words.
        found: String,
    },

    /// A figure was asked of no panels or no series.
    #[error("nothing to draw: expected at least one {expected}")]
    EmptyFigure {
        /// What there must be at least one of.
        expected: &'static str,
    },

    /// A panel's grid is too small to hold one quadrilateral.
    #[error("panel {panel:?}: a grid of {rows} x {cols} points: expected at least 2 x 2")]
    GridTooSmall {
        /// Title of the panel.
        panel: String,
        /// Rows of the grid.
        rows: usize,
        /// Columns of the grid.
        cols: usize,
    },

    /// An array of a panel does not have one element for each point of the grid.
    #[error(
        "panel {panel:?}: `{what}` has {found} elements: expected {expected}, one for each point \
         of the grid"
    )]
    PanelLength {
        /// Title of the panel.
        panel: String,
        /// The field.
        what: &'static str,
        /// `rows * cols`.
        expected: usize,
        /// Its length.
        found: usize,
    },

    /// Every quadrilateral of a panel touches a vertex that cannot be drawn.
    #[error(
        "panel {panel:?}: no quadrilateral to draw: expected four neighbouring vertices with \
         finite coordinates and values inside the limits, found none among {vertices} vertices"
    )]
    NothingToDraw {
        /// Title of the panel.
        panel: String,
        /// Vertices of the grid.
        vertices: usize,
    },

    /// A number that sets the look of a figure is out of its range.
    #[error("figure style: `{what}` is {found}: expected {expected}")]
    Style {
        /// The field.
        what: &'static str,
        /// Its range, in words.
        expected: &'static str,
        /// The number given.
        found: f64,
    },

    /// A series has no point that can be drawn.
    #[error(
        "series {series:?}: no point to draw: expected a finite one, found none among {points}"
    )]
    EmptySeries {
        /// Name of the series.
        series: String,
        /// Points of the series, all of them not finite.
        points: usize,
    },

    /// A logarithmic axis was asked for a number that has no logarithm.
    #[error("series {series:?}: {axis} is {found} at point {index}: a log axis expects {axis} > 0")]
    NotPositive {
        /// Name of the series.
        series: String,
        /// Position of the first such point.
        index: usize,
        /// The axis, `x` or `y`.
        axis: char,
        /// Its number there.
        found: f64,
    },

    /// A phase boundary is not at a place that the x axis has.
    #[error(
        "phase boundary {label:?} is at {found}: expected a finite number, on a log axis above 0"
    )]
    NonFiniteBoundary {
        /// Label of the boundary.
        label: String,
        /// Where it was put.
        found: f64,
    },

    /// The file name does not say which format to write.
    #[error("figure {path}: expected a file name that ends in .png or .svg", path = printable(&path.to_string_lossy()))]
    Extension {
        /// The path given.
        path: PathBuf,
    },

    /// A picture of images cannot be encoded.
    #[error("picture of images: {reason}")]
    Picture {
        /// What the encoder says.
        reason: String,
    },

    /// The rasteriser refused the picture.
    #[error("figure {path}: cannot rasterise: {reason}", path = printable(&path.to_string_lossy()))]
    Rasterise {
        /// Where the picture was to go.
        path: PathBuf,
        /// What the rasteriser says.
        reason: String,
    },

    /// The figure's file could not be written.
    #[error("figure {path}: cannot write", path = printable(&path.to_string_lossy()))]
    Write {
        /// The path given.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },

    /// A model refused its arguments.
    #[error(transparent)]
    ModelCall(#[from] mflow_core::Error),

    /// A data set or simulator refused its arguments.
    #[error(transparent)]
    Data(#[from] mflow_data::Error),

    /// Threads could not be started.
    #[error("{threads} threads: expected the system to start them, found: {reason}")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// What the system says.
        reason: String,
    },

    /// A tensor operation failed.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] mflow_core::candle::Error),

    /// A metric was asked of a model that it does not fit.
    #[error("{what}: expected {expected}, found {found}")]
    Model {
        /// The metric.
        what: &'static str,
        /// What it needs.
        expected: String,
        /// What it was given.
        found: String,
    },
}
