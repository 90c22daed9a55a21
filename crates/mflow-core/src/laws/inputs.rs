//! What embeddings and models are tried on: coordinates or latents, steps off the manifold, contexts.
use super::{Failure, Options};
use candle_core::{Device, Tensor};
use mflow_bijectors::laws::strategies::number;
use mflow_bijectors::laws::{inside, of_feature, tensor};
use mflow_bijectors::{Domain, Stream, host};
use proptest::collection::vec;
use proptest::strategy::Strategy;
use std::f64::consts::TAU;
use std::ops::RangeInclusive;

/// How many numbers a row has, and where they lie.
#[derive(Clone, Debug)]
pub(super) struct Sizes {
    /// Coordinates or latents `N`.
    pub(super) n: usize,
    /// Data features `D`.
    pub(super) d: usize,
    /// Context features, if there is a context.
    pub(super) context: Option<usize>,
    /// Where coordinates or latents lie.
    pub(super) domain: Domain,
    /// Charts: with several, the last column of coordinates is the number of one.
    pub(super) charts: usize,
}

/// Rows of an input, in f64.
#[derive(Clone, Debug)]
pub(super) struct Inputs {
    /// Coordinates or latents, `[B, N]`; of several charts `[B, N + 1]`.
    pub(super) u: Tensor,
    /// Steps off the manifold, `[B, D]`, in data units.
    pub(super) off: Tensor,
    /// `[B, C]`.
    pub(super) context: Option<Tensor>,
}

impl Sizes {
    /// Rows that proptest draws and shrinks: numbers of size 1.
    pub(super) fn rows(
        &self,
        count: RangeInclusive<usize>,
    ) -> impl Strategy<Value = Vec<Vec<f64>>> + use<> {
        vec(vec(number(), self.n + self.d + self.context.unwrap_or(0)), count)
    }

    /// So many rows, drawn by the seed of the options.
    pub(super) fn drawn<L>(&self, rows: usize, options: &Options<L>) -> Result<Inputs, Failure> {
        let numbers = self.n + self.d + self.context.unwrap_or(0);
        let all = Stream::new(options.seed, "rows").normal(rows * numbers);
        let rows: Vec<Vec<f64>> = all.chunks(numbers.max(1)).map(<[f64]>::to_vec).collect();
        self.place(&rows, options)
    }

    /// Numbers of size 1 moved to where they belong.
    pub(super) fn place<L>(
        &self,
        rows: &[Vec<f64>],
        options: &Options<L>,
    ) -> Result<Inputs, Failure> {
        let (b, device) = (rows.len(), &options.device);
        let mut u = vec![];
        let mut off = vec![];
        let mut context = vec![];
        for (r, row) in rows.iter().enumerate() {
            let (of_u, rest) = row.split_at(self.n.min(row.len()));
            let (of_off, of_context) = rest.split_at(self.d.min(rest.len()));
            let moved = of_u.iter().enumerate();
            let moved =
                moved.map(|(i, v)| inside(&self.domain, i, v * options.spread, options.spread));
            u.extend(moved);
            if self.charts > 1 {
                u.push((r % self.charts) as f64);
            }
            off.extend(of_off.iter().map(|v| v * options.off));
            context.extend(of_context);
        }
        let columns = self.n + usize::from(self.charts > 1);
        Ok(Inputs {
            u: tensor(u, &[b, columns], device)?,
            off: tensor(off, &[b, self.d], device)?,
            context: self.context.map(|c| tensor(context, &[b, c], device)).transpose()?,
        })
    }
}

impl Inputs {
    /// Number of rows.
    pub(super) fn count(&self) -> usize {
        self.u.dims().first().copied().unwrap_or(0)
    }

    pub(super) fn each(
        &self,
        f: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            u: f(&self.u)?,
            off: f(&self.off)?,
            context: self.context.as_ref().map(&f).transpose()?,
        })
    }

    /// Rows `start .. start + len`.
    pub(super) fn narrow(&self, start: usize, len: usize) -> Result<Self, Failure> {
        self.each(|t| t.narrow(0, start, len)?.contiguous())
    }

    /// These rows as often as asked for, one after the other, and no more than `rows` of them.
    pub(super) fn repeated(&self, rows: usize) -> Result<Self, Failure> {
        let times = rows.div_ceil(self.count().max(1));
        self.each(|t| Tensor::cat(&vec![t; times], 0)?.narrow(0, 0, rows))
    }

    /// As text.
    pub(super) fn describe(&self) -> String {
        let rows = |t: &Tensor| {
            let values = host::values_f64(t).unwrap_or_default();
            let size = t.dims().last().copied().unwrap_or(1).max(1);
            let rows = values.chunks(size).map(|row| format!("{row:?}"));
            rows.collect::<Vec<_>>().join(", ")
        };
        let text = format!("{}; off the manifold {}", rows(&self.u), rows(&self.off));
        match &self.context {
            Some(context) => format!("{text}; context {}", rows(context)),
            None => text,
        }
    }
}

/// `found` with angles moved by turns towards `expected`, both `[B, N]`.
pub(super) fn turned(
    found: &Tensor,
    expected: &Tensor,
    domain: &Domain,
) -> Result<Tensor, Failure> {
    let (dims, device): (_, &Device) = (found.dims().to_vec(), found.device());
    let columns = dims.last().copied().unwrap_or(1).max(1);
    let expected = host::values_f64(expected)?;
    let moved = host::values_f64(found)?.into_iter().enumerate().map(|(i, v)| {
        match (of_feature(domain, i % columns), expected.get(i)) {
            (Domain::Angle, Some(e)) if v.is_finite() => v - TAU * ((v - e) / TAU).round(),
            _ => v,
        }
    });
    tensor(moved.collect(), &dims, device)
}
