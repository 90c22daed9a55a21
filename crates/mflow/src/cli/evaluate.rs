//! A model evaluated row by row, on all threads.
use super::model::Opened;
use super::options::ModelOptions;
use super::output::{message, values};
use super::{progress, threads};
use anyhow::Result;
use mflow::ask::by_rows;
use mflow::core::candle::Tensor;
use mflow::core::{self, Model};
use serde::{Deserialize, Serialize};

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
    let bar = progress::of_rows(rows.dim(0)?);
    let results = by_rows(&pool, rows, context.as_ref(), |x, c| {
        let result = f(model, x, c)?;
        bar.inc(x.dim(0)? as u64);
        anyhow::Ok(result)
    });
    bar.finish_and_clear();
    let results = results?;
    warn_of_non_finite(&results)?;
    Ok(results)
}

/// Warn of rows of `t: [B, K]` that hold a value that is not finite.
pub(super) fn warn_of_non_finite(t: &Tensor) -> Result<()> {
    let mut all = NonFinite::default();
    all.see(t)?;
    all.warn();
    Ok(())
}

/// Rows that hold a value that is not finite, among those that were seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NonFinite {
    /// All that were seen.
    pub(super) rows: usize,
    bad: usize,
    first: usize,
}

impl NonFinite {
    /// Look at the next rows, `[B, K]`.
    pub(super) fn see(&mut self, t: &Tensor) -> Result<()> {
        let (rows, cols) = t.dims2()?;
        for (i, row) in values(t)?.chunks_exact(cols).enumerate() {
            if row.iter().all(|v| v.is_finite()) {
                continue;
            }
            if self.bad == 0 {
                self.first = self.rows + i;
            }
            self.bad += 1;
        }
        self.rows += rows;
        Ok(())
    }

    /// Warn of them, if there are some.
    pub(super) fn warn(&self) {
        let Self { rows, bad, first } = self;
        if *bad > 0 {
            message(format_args!(
                "warning: the results of {bad} of {rows} rows are not finite, the first at row {first} \
                 (counting from 0)"
            ));
        }
    }
}
