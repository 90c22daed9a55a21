//! Tangents of many rows under a limit of memory: as many rows, or tangents of a row, at a time as fit.
use crate::embedding::volume_of;
use crate::{Error, Result};
use candle_core::{DType, Tensor};
use mflow_bijectors::{Diff, Dual};
use std::ops::Range;

/// Memory that pushing tangents may take in each thread, in bytes, without what gradients keep: 1 GiB.
pub const TANGENT_MEMORY: usize = 1 << 30;

/// What fits into memory at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Portion {
    /// Rows.
    pub(crate) rows: usize,
    /// Tangents of each of them.
    pub(crate) tangents: usize,
}

impl Portion {
    /// For `tangents` of each row through a map that holds `working_size` numbers for each point and each tangent
    /// ([`mflow_bijectors::Signature::working_size`]), in `memory` bytes.
    ///
    /// # Errors
    /// [`Error::Memory`] if not even one tangent of one row fits.
    pub(crate) fn of(
        working_size: usize,
        tangents: usize,
        dtype: DType,
        memory: usize,
    ) -> Result<Self> {
        let fit = memory / (working_size * dtype.size_in_bytes()).max(1);
        // A point beside its tangents.
        match fit / (1 + tangents) {
            0 if fit < 2 && tangents > 0 => Err(Error::Memory {
                op: "tangents",
                needed: 2 * working_size * dtype.size_in_bytes(),
                allowed: memory,
            }),
            0 => Ok(Self { rows: 1, tangents: (fit - 1).max(1) }),
            rows => Ok(Self { rows, tangents: tangents.max(1) }),
        }
    }

    /// `f` of parts of the rows of `u` and of a context, whose results are put together again along their first axis.
    fn by_rows<const N: usize>(
        self,
        u: &Tensor,
        context: Option<&Tensor>,
        f: impl Fn(&Tensor, Option<&Tensor>) -> Result<[Tensor; N]>,
    ) -> Result<[Tensor; N]> {
        let rows = u.dim(0)?;
        if rows <= self.rows {
            return f(u, context);
        }
        let mut parts: [Vec<Tensor>; N] = std::array::from_fn(|_| vec![]);
        for Range { start, end } in ranges(rows, self.rows) {
            let part = |t: &Tensor| t.narrow(0, start, end - start)?.contiguous();
            let found = f(&part(u)?, context.map(part).transpose()?.as_ref())?;
            parts.iter_mut().zip(found).for_each(|(parts, found)| parts.push(found));
        }
        let mut joined = Vec::with_capacity(N);
        for parts in parts {
            joined.push(Tensor::cat(&parts, 0)?);
        }
        <[Tensor; N]>::try_from(joined)
            .map_err(|_| candle_core::Error::Msg("tangents: parts were lost".to_owned()).into())
    }

    /// `push` of parts of the tangents of `x`, which are put together again.
    fn by_tangents(self, x: &Dual, push: impl Fn(&Dual) -> Result<Dual>) -> Result<[Tensor; 2]> {
        let none = || candle_core::Error::Msg("tangents: there are none".to_owned());
        let all = x.tangents().ok_or_else(none)?;
        let (count, mut value, mut parts) = (all.dim(1)?, None, vec![]);
        for Range { start, end } in ranges(count, self.tangents) {
            let part = match end - start == count {
                true => push(x)?,
                false => {
                    let some = all.narrow(1, start, end - start)?.contiguous()?;
                    push(&Dual::new(x.value().clone(), some)?)?
                }
            };
            parts.push(part.tangents().ok_or_else(none)?.clone());
            value.get_or_insert_with(|| part.value().clone());
        }
        let tangents = match parts.as_slice() {
            [all] => all.clone(),
            parts => Tensor::cat(parts, 1)?,
        };
        Ok([value.ok_or_else(none)?, tangents])
    }

    /// The points of a manifold at coordinates `u: [B, N]` with the rows of the Jacobian there: what `push` makes of
    /// what `start` gives, which has `N` tangents.
    pub(crate) fn jacobian(
        self,
        u: &Tensor,
        context: Option<&Tensor>,
        start: impl Fn(&Tensor) -> Result<Dual>,
        push: impl Fn(&Dual, Option<&Dual>) -> Result<Dual>,
    ) -> Result<Dual> {
        let [value, tangents] = self.by_rows(u, context, |u, context| {
            let context = context.map(<Dual as Diff>::constant);
            self.by_tangents(&start(u)?, |x| push(x, context.as_ref()))
        })?;
        Ok(Dual::new(value, tangents)?)
    }

    /// These points with the log-volumes there, `[B]`, without the Jacobians of all rows at a time.
    pub(crate) fn volume(
        self,
        u: &Tensor,
        context: Option<&Tensor>,
        jacobian: impl Fn(&Tensor, Option<&Tensor>) -> Result<Dual>,
    ) -> Result<[Tensor; 2]> {
        self.by_rows(u, context, |u, context| {
            let x = jacobian(u, context)?;
            Ok([x.value().clone(), volume_of(&x)?])
        })
    }
}

/// `0..all` in parts of `most`.
fn ranges(all: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    (0..all).step_by(most.max(1)).map(move |start| start..all.min(start + most.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_rows_or_tangents_fit_as_memory_has() {
        let of = |memory| Portion::of(10, 4, DType::F32, memory);
        // A row with its 4 tangents takes 5 times 10 numbers of 4 bytes.
        assert_eq!(of(600).unwrap(), Portion { rows: 3, tangents: 4 });
        assert_eq!(of(399).unwrap(), Portion { rows: 1, tangents: 4 });
        assert_eq!(of(199).unwrap(), Portion { rows: 1, tangents: 3 });
        assert_eq!(of(80).unwrap(), Portion { rows: 1, tangents: 1 });
        let error = of(79).unwrap_err().to_string();
        assert!(error.contains("80 bytes") && error.contains("79"), "{error}");
        assert_eq!(ranges(5, 2).collect::<Vec<_>>(), [0..2, 2..4, 4..5]);
    }
}
