//! A model evaluated row by row, on all threads.
use super::model::Opened;
use super::options::ModelOptions;
use super::output::{message, values};
use super::{progress, threads};
use anyhow::Result;
use mflow::core::candle::Tensor;
use mflow::core::{self, Model};
use mflow::train::Pool;

/// `f` on blocks of rows of `x` and `context`, put back together: `[rows, ..]`.
pub(super) fn by_rows(
    pool: &Pool,
    x: &Tensor,
    context: Option<&Tensor>,
    f: impl Fn(&Tensor, Option<&Tensor>) -> core::Result<Tensor> + Sync + Send,
) -> Result<Tensor> {
    let rows = x.dim(0)?;
    let bar = progress::of_rows(rows);
    let result = pool.by_rows(x.device(), rows, |range| {
        let context = context.map(|c| c.narrow(0, range.start, range.len())).transpose()?;
        let result = f(&x.narrow(0, range.start, range.len())?, context.as_ref());
        bar.inc(range.len() as u64);
        result
    });
    bar.finish_and_clear();
    Ok(result?)
}

/// `f` of the model on blocks of `rows` and `context`, on the threads of the options, and with a warning of results that are
/// not finite: `[rows, ..]`.
pub(super) fn map_rows(
    opened: &Opened,
    options: &ModelOptions,
    (rows, context): &(Tensor, Option<Tensor>),
    f: impl Fn(&dyn Model, &Tensor, Option<&Tensor>) -> core::Result<Tensor> + Sync + Send,
) -> Result<Tensor> {
    let pool = threads::pool(options.fitted.threads)?;
    let model = opened.model();
    let results = by_rows(&pool, rows, context.as_ref(), |x, c| f(model, x, c))?;
    warn_of_non_finite(&results)?;
    Ok(results)
}

/// Warn of rows of `t: [B, K]` that hold a value that is not finite.
pub(super) fn warn_of_non_finite(t: &Tensor) -> Result<()> {
    let (rows, cols) = t.dims2()?;
    let values = values(t)?;
    let bad = |row: &&[f64]| row.iter().any(|v| !v.is_finite());
    let mut numbered = values.chunks_exact(cols).enumerate().filter(|(_, row)| bad(row));
    if let Some((first, _)) = numbered.next() {
        message(format_args!(
            "warning: the results of {} of {rows} rows are not finite, the first at row {first} \
             (counting from 0)",
            numbered.count() + 1
        ));
    }
    Ok(())
}
