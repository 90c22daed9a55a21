//! What a map is tried on: points of its domain, contexts, and tangents of both.
use super::Options;
use super::finding::Failure;
use super::strategies::number;
use crate::{Bijector, Direction, Domain, Signature, host};
use candle_core::{DType, Device, Tensor, Var};
use proptest::collection::vec;
use proptest::prelude::*;
use std::f64::consts::PI;
use std::ops::RangeInclusive;

/// Tangent rows per point: no register, and no other size here, is as long.
pub const TANGENTS: usize = 3;

/// Points, their contexts, and tangent rows of both, in f64 unless converted.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// `[B, ..shape]`.
    pub x: Tensor,
    /// `[B, C]`; none for a map without a context.
    pub context: Option<Tensor>,
    /// `[B, 3, ..shape]`.
    pub x_rows: Tensor,
    /// `[B, 3, C]`.
    pub context_rows: Option<Tensor>,
}

/// A point with all that belongs to it, as numbers that proptest can draw and shrink.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Real numbers of size 1, which [`inside`] moves into the domain.
    x: Vec<f64>,
    context: Vec<f64>,
    x_rows: Vec<f64>,
    context_rows: Vec<f64>,
}

/// So many rows of a map with this signature.
pub(super) fn rows(
    signature: &Signature,
    count: RangeInclusive<usize>,
) -> impl Strategy<Value = Vec<Row>> + use<> {
    let d: usize = signature.latent_shape.iter().product();
    let c = signature.context_dim.unwrap_or(0);
    let row = (
        vec(number(), d),
        vec(-2.0..2.0, c),
        vec(number(), TANGENTS * d),
        vec(number(), TANGENTS * c),
    );
    let row =
        row.prop_map(|(x, context, x_rows, context_rows)| Row { x, context, x_rows, context_rows });
    vec(row, count)
}

/// Where a map is defined in this direction, and the shape of the points there.
pub(super) fn side(signature: &Signature, direction: Direction) -> (&Domain, &[usize]) {
    match direction {
        Direction::Forward => (&signature.latent_domain, &signature.latent_shape),
        Direction::Inverse => (&signature.data_domain, &signature.data_shape),
    }
}

impl Inputs {
    /// From rows that were drawn, on the device of the options.
    pub(super) fn of_rows(
        rows: &[Row],
        map: &dyn Bijector,
        direction: Direction,
        options: &Options,
    ) -> Result<Self, Failure> {
        let signature = map.signature();
        let (domain, shape) = side(signature, direction);
        let place = |values: Vec<f64>, shape: &[usize]| -> Result<Tensor, Failure> {
            tensor(values, shape, &options.device)
        };
        let b = rows.len();
        let x = rows.iter().flat_map(|row| {
            let moved = row.x.iter().enumerate();
            moved.map(|(i, v)| inside(domain, i, v * options.spread, options.spread))
        });
        let all = |of: fn(&Row) -> &Vec<f64>| rows.iter().flat_map(of).copied().collect::<Vec<_>>();
        let has_context = signature.context_dim;
        let context = has_context.map(|c| place(all(|row| &row.context), &[b, c])).transpose()?;
        let context_rows = has_context
            .map(|c| place(all(|row| &row.context_rows), &[b, TANGENTS, c]))
            .transpose()?;
        Ok(Self {
            x: place(x.collect(), &[&[b], shape].concat())?,
            context,
            x_rows: place(all(|row| &row.x_rows), &[&[b, TANGENTS], shape].concat())?,
            context_rows,
        })
    }

    /// Number of points.
    pub(super) fn count(&self) -> usize {
        self.x.dims().first().copied().unwrap_or(0)
    }

    fn each(&self, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<Self, Failure> {
        Ok(Self {
            x: f(&self.x)?,
            context: self.context.as_ref().map(&f).transpose()?,
            x_rows: f(&self.x_rows)?,
            context_rows: self.context_rows.as_ref().map(&f).transpose()?,
        })
    }

    /// The same in another dtype.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn to(&self, dtype: DType) -> Result<Self, Failure> {
        self.each(|t| t.to_dtype(dtype))
    }

    /// Points `start .. start + len`.
    ///
    /// # Errors
    /// If there are not as many.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Self, Failure> {
        self.each(|t| t.narrow(0, start, len))
    }

    /// These points as often as asked for, one after the other.
    pub(super) fn repeated(&self, times: usize) -> Result<Self, Failure> {
        self.each(|t| Tensor::cat(&vec![t; times], 0))
    }

    /// Tracked copies, with their variables by name.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn tracked(&self) -> Result<(Self, Vec<(String, Var)>), Failure> {
        let named = [
            ("x", Some(&self.x)),
            ("x tangents", Some(&self.x_rows)),
            ("context", self.context.as_ref()),
            ("context tangents", self.context_rows.as_ref()),
        ];
        let mut vars: Vec<(String, Var)> = vec![];
        for (name, t) in named {
            if let Some(t) = t {
                vars.push((name.to_owned(), Var::from_tensor(t)?));
            }
        }
        let of = |name: &str| {
            let found = vars.iter().find(|(known, _)| known == name);
            found.map(|(_, v)| v.as_tensor().clone())
        };
        let tracked = Self {
            x: of("x").unwrap_or_else(|| self.x.clone()),
            x_rows: of("x tangents").unwrap_or_else(|| self.x_rows.clone()),
            context: of("context"),
            context_rows: of("context tangents"),
        };
        Ok((tracked, vars))
    }
}

/// An f64 tensor on a device.
///
/// # Errors
/// If there are not as many values as the shape says, or the device fails.
pub fn tensor(values: Vec<f64>, shape: &[usize], device: &Device) -> Result<Tensor, Failure> {
    let values = Tensor::from_vec(values, shape, &Device::Cpu)?;
    Ok(host::place(&values, DType::F64, device)?)
}

/// The domain of feature `i`.
pub fn of_feature(domain: &Domain, i: usize) -> &Domain {
    match domain {
        Domain::Features(each) => each.get(i).unwrap_or(&Domain::Reals),
        all => all,
    }
}

/// A real number of size `spread` moved into the domain of feature `i`, and away from ends at which maps are steep.
pub fn inside(domain: &Domain, i: usize, v: f64, spread: f64) -> f64 {
    // In (0, 1), and not too near to its ends: the maps there are as steep as one likes.
    let unit = |v: f64| 0.5 + 0.49 * (v / (2. * spread)).tanh();
    match of_feature(domain, i) {
        Domain::Positive => (v / spread).exp(),
        Domain::Interval { low, high } => low + (high - low) * unit(v),
        Domain::Angle => PI * (2. * unit(v) - 1.),
        // Away from the pole, which a shrunk input would else be.
        Domain::RealsExceptPole => v + 0.3_f64.copysign(v),
        _ => v,
    }
}
