//! A question row by row, on all threads.
use mflow_core::candle::{self, Tensor};
use mflow_train::Pool;

/// `f` on blocks of rows of `x` and `context`, put back together: `[rows, ..]`.
///
/// # Errors
/// As `f`.
pub fn by_rows<E: Send + From<candle::Error>>(
    pool: &Pool,
    x: &Tensor,
    context: Option<&Tensor>,
    f: impl Fn(&Tensor, Option<&Tensor>) -> Result<Tensor, E> + Sync + Send,
) -> Result<Tensor, E> {
    pool.by_rows(x.device(), x.dim(0)?, |range| {
        let part = |t: &Tensor| t.narrow(0, range.start, range.len());
        f(&part(x)?, context.map(part).transpose()?.as_ref())
    })
}
