//! What rows say of their manifold before anything is trained.
use crate::Result;
use mflow_bijectors::host;
use mflow_core::{
    LinearSpan, ModelConfig, UnrollOptions, Unrolled, UnrolledPiece, linear_span, unroll,
};
use mflow_train::{RowSource, Start, TrainConfig};

/// Rows by which the charts of an atlas are placed, at most.
const PLACING: usize = 10_000;

/// `model` with the charts of an atlas at their places near the rows of `data`; any other model as it is. See
/// [`ModelConfig::place_charts`]. At most 10,000 rows, evenly spread, say where.
///
/// # Errors
/// If a row cannot be read, or the rows are too few.
pub fn place_charts(model: ModelConfig, data: &dyn RowSource) -> Result<ModelConfig> {
    match model.parts.charts() {
        Some(_) => Ok(model.place_charts(&spread(data, PLACING)?)?),
        None => Ok(model),
    }
}

/// What the data say about their manifold before any training; see [`shape_of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many pieces it is in.
    pub pieces: usize,
    /// Whether flat coordinates lay parts of the manifold onto each other. Then no single flat chart covers it: it is
    /// closed, as a circle or a sphere is, or folded so tightly that the rows do not tell its sheets apart.
    pub closed: bool,
    /// How many rows are far from all pieces.
    pub outliers: usize,
    /// How many rows were looked at.
    pub rows: usize,
}

impl Shape {
    /// Whether one chart does not cover it, or some rows are on no part of it.
    pub fn is_unusual(self) -> bool {
        self.closed || self.pieces > 1 || self.outliers > 0
    }
}

/// Rows by which the shape is told, at most.
const SHAPE_ROWS: usize = 4000;
/// A manifold counts as closed if its [`mflow_core::UnrolledPiece::overlap`] is above this. The tests of
/// `unroll` hold it below 0.001 for open manifolds and above 0.2 for closed ones.
const OVERLAP: f64 = 0.05;
/// Or if it had to be stretched by more than this and has the overlap [`OVERLAP_OF_BAG`]. Where rows are rare, a closed
/// surface opens like a bag: what lies behind is drawn wide, and little more than the rim lies on anything. Open manifolds
/// that cannot be flattened, such as a hyperboloid, are stretched as much but overlap less.
const STRETCH: f64 = 0.13;
/// See [`STRETCH`].
const OVERLAP_OF_BAG: f64 = 0.008;

/// Data are flat if the squared distances from a plane are at most this share of the squared distances from one of the
/// rows: that is what rounding in single precision leaves.
const FLAT: f64 = 1e-12;

/// Whether the data lie in a plane of as many dimensions as the manifold of the model has, up to rounding. If so,
/// principal components are the manifold: after a flat start ([`Start::Flat`]) only the density is left to learn.
///
/// # Errors
/// If a row cannot be read, or the rows span fewer dimensions than the manifold has, so that none can be learned from
/// them ([`mflow_core::Error::Rank`]).
pub fn is_flat(model: &ModelConfig, data: &dyn RowSource) -> Result<bool> {
    let (d, n) = (model.sizes.data_dim, model.sizes.manifold_dim);
    if n >= d {
        return Ok(false);
    }
    let x = model.normalized(&spread(data, PLACING)?);
    let LinearSpan { rank, rest, .. } = linear_span(&x, d, n);
    if rank < n {
        return Err(mflow_core::Error::Rank { op: "fit", rank, manifold_dim: n }.into());
    }
    Ok(rest <= FLAT)
}

/// The shape of the manifold near which the data lie, for the dimension that the model has. It is told from at most
/// 4000 rows, evenly spread.
///
/// # Errors
/// If a row cannot be read, or the data have no manifold of this dimension; see [`unroll`].
pub fn shape_of(model: &ModelConfig, data: &dyn RowSource, seed: u64) -> Result<Shape> {
    let x = model.normalized(&spread(data, SHAPE_ROWS)?);
    let options = UnrollOptions { seed, ..UnrollOptions::default() };
    let Unrolled { pieces, piece, outliers, .. } =
        unroll(&x, model.sizes.data_dim, model.sizes.manifold_dim, &options)?;
    Ok(Shape {
        pieces: pieces.len(),
        closed: pieces.iter().any(is_closed),
        outliers: outliers.len(),
        rows: piece.len(),
    })
}

fn is_closed(piece: &UnrolledPiece) -> bool {
    let is_stretched = piece.stretch > STRETCH;
    piece.overlap > if is_stretched { OVERLAP_OF_BAG } else { OVERLAP }
}

/// `model` and `train` with a start; see [`Start::apply`]. At most 10,000 rows, evenly spread, say where the principal
/// axes of a flat start lie.
///
/// # Errors
/// If a row cannot be read, or the model cannot start there ([`Start::obstacle`]).
pub fn start_from(
    start: Start,
    model: ModelConfig,
    train: TrainConfig,
    data: &dyn RowSource,
) -> Result<(ModelConfig, TrainConfig)> {
    Ok(start.apply(model, train, &spread(data, PLACING)?)?)
}

/// At most `most` of `rows` positions, evenly spread.
#[expect(clippy::integer_division_remainder_used, reason = "nothing is kept of no rows")]
pub fn evenly(rows: usize, most: usize) -> impl Iterator<Item = usize> {
    let kept = rows.min(most);
    (0..kept).map(move |i| i * rows / kept)
}

/// At most `most` rows, evenly spread over the data, row-major.
pub(super) fn spread(data: &dyn RowSource, most: usize) -> Result<Vec<f64>> {
    let index: Vec<usize> = evenly(data.rows(), most).collect();
    Ok(host::values_f64(&data.gather(&index)?.x).map_err(mflow_core::Error::from)?)
}
