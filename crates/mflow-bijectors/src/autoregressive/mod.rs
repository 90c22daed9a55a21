//! Autoregressive layers: each feature moves by a map whose parameters the features before it
//! determine.
mod config;

pub use config::AutoregressiveConfig;

use crate::bijector::{Bijector, Direction, Layer, Mapped, Signature};
use crate::coupling::{Coupling, or_empty};
use crate::diff::Diff;
use crate::host;
use crate::kernel::autoregressive::SolveOp;
use crate::kernel::{FusedLayer, Pushed};
use crate::nn::{Conditioned, Linear};
use crate::noise::Noise;
use crate::univariate::Univariate;
use crate::{Error, Result};
use candle_core::{DType, Tensor};
use std::sync::Arc;

/// `y_i = g(x_i; net(x_1 .. x_(i-1), c)_i)` with a masked network.
///
/// `forward` is one evaluation, that of a coupling that keeps and moves every feature. `inverse`
/// finds one feature after the other: `D` evaluations, exact; its gradient solves with the triangular
/// Jacobian.
#[derive(Debug)]
struct Autoregressive<U> {
    parallel: Coupling<U>,
}

/// The sequential direction, as a kernel sees it.
struct Solve<'a, U>(&'a Coupling<U>);

impl<U: Univariate> FusedLayer for Solve<'_, U> {
    fn values(&self, y: &Tensor, context: Option<&Tensor>) -> Result<Mapped<Tensor>> {
        let (plan, theta) = (self.0.plan.clone(), &self.0.theta()?);
        let (b, d) = y.dims2()?;
        let (y, c) = (y.contiguous()?, or_empty(y, context)?);
        let packed = match y.dtype() {
            DType::F64 => y.apply_op3(&c, theta, SolveOp::<U, f64>::new(plan)),
            _ => y.apply_op3(&c, theta, SolveOp::<U, f32>::new(plan)),
        }?;
        let value = packed.narrow(0, 0, b * d)?.reshape((b, d))?;
        Ok(Mapped { value, log_abs_det: packed.narrow(0, b * d, b)? })
    }
    /// Tangents go through the composition.
    fn push(&self, _: &Tensor, _: &Tensor, _: Option<&Tensor>) -> Result<Option<Pushed>> {
        Ok(None)
    }
}

impl<U: Univariate> Autoregressive<U> {
    /// One feature after the other, as a composition of tensor operations.
    fn solve<T: Diff>(&self, y: &T, context: Option<&T>) -> Result<Mapped<T>> {
        let Coupling { plan, .. } = &self.parallel;
        let (map, per, v) = (&plan.map, plan.map.parameters(), y.value());
        let (theta, rows) = (self.parallel.theta()?, v.dim(0)?);
        let zeros = |n: usize| host::zeros((rows, n), v.dtype(), v.device());
        let mut solved: Option<Mapped<T>> = None;
        for i in 0..plan.dim {
            // The features that are not found yet are zeros, which the masks keep out.
            let unknown = T::constant(&zeros(plan.dim - i)?);
            let x = match &solved {
                Some(known) => T::cat(&[&known.value, &unknown])?,
                None => unknown,
            };
            let Conditioned { hidden, last } = self.parallel.conditioned(&theta, &x, context)?;
            let last = Linear {
                // Some devices multiply by no part of the columns of a matrix.
                weight: last.weight.narrow(1, i * per, per)?.contiguous()?,
                bias: last.bias.narrow(0, i * per, per)?,
            };
            let (net, y_i) = (Conditioned { hidden, last }, y.narrow(i, 1)?);
            let next = if self.parallel.is_fused(v, 0) {
                y_i.univariate(&net, map, Direction::Inverse)?
            } else {
                net.compose(&y_i, map, Direction::Inverse)?
            };
            solved = Some(match solved {
                Some(known) => Mapped {
                    value: T::cat(&[&known.value, &next.value])?,
                    log_abs_det: known.log_abs_det.add(&next.log_abs_det)?,
                },
                None => next,
            });
        }
        solved.ok_or_else(|| Error::config("autoregressive.dim", "must be positive, found 0"))
    }
}

impl<U: Univariate> Layer for Autoregressive<U> {
    fn signature(&self) -> &Signature {
        &self.parallel.signature
    }
    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        context: Option<&T>,
    ) -> Result<Mapped<T>> {
        if direction == Direction::Forward {
            return self.parallel.apply(direction, x, context);
        }
        if self.parallel.is_fused(x.value(), 0)
            && let Some(mapped) = x.fused(&Solve(&self.parallel), context)?
        {
            return Ok(mapped);
        }
        self.solve(x, context)
    }
    fn training(&self, noise: &Noise) -> Result<Option<Arc<dyn Bijector>>> {
        let parallel = self.parallel.with_noise(noise);
        Ok(parallel.map(|parallel| Arc::new(Self { parallel }) as Arc<dyn Bijector>))
    }
}
