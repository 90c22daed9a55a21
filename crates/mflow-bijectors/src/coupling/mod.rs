//! Coupling layers: some features move by a map whose parameters the other features determine.
mod mask;
mod rational_quadratic;

pub use mask::Mask;
pub use rational_quadratic::{RqCoupling, RqCouplingConfig};

use crate::Result;
use crate::bijector::{Direction, Layer, Mapped, Signature};
use crate::diff::Diff;
use crate::kernel::coupling::{CouplingOp, Plan, push};
use crate::kernel::{FusedLayer, Pushed};
use crate::spline::Univariate;
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which code evaluates a layer; chosen before any graph is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Route {
    /// Fused kernels on the CPU, tensor operations elsewhere.
    #[default]
    Auto,
    /// Tensor operations everywhere: the oracle of the kernels.
    Composed,
}

/// The layer behind every coupling: `y_keep = x_keep`, `y_moved = g(x_moved; net(x_keep, c))`.
///
/// `log|det J|` is the sum of the log-slopes of `g`.
#[derive(Debug)]
pub(crate) struct Coupling<U> {
    plan: Arc<Plan<U>>,
    signature: Signature,
    route: Route,
    /// All parameters, flat; tracked, or detached when frozen (the same storage either way).
    theta: Tensor,
    keep: Tensor,
    moved: Tensor,
    /// Puts `[keep, moved]` back in order.
    merge: Tensor,
}

impl<U: Univariate> Coupling<U> {
    fn new(plan: Plan<U>, theta: Tensor, route: Route) -> Result<Self> {
        let device = theta.device();
        let index = |v: &[usize]| -> Result<Tensor> {
            let v = v.iter().map(|&i| u32::try_from(i)).collect::<std::result::Result<Vec<_>, _>>();
            let v = v.map_err(|e| crate::Error::config("coupling.dim", e.to_string()))?;
            let n = v.len();
            Ok(Tensor::from_vec(v, n, device)?)
        };
        let mut merge = vec![0; plan.dim];
        plan.keep.iter().chain(&plan.moved).enumerate().for_each(|(i, &k)| merge[k] = i);
        let (keep, moved, merge) = (index(&plan.keep)?, index(&plan.moved)?, index(&merge)?);
        let signature =
            Signature::vector(plan.dim, theta.dtype(), device).with_context(plan.net.context);
        Ok(Self { plan: Arc::new(plan), signature, route, theta, keep, moved, merge })
    }
}

/// One direction of a coupling, as its kernels see it.
struct Fused<'a, U> {
    coupling: &'a Coupling<U>,
    direction: Direction,
}

impl<U: Univariate> Fused<'_, U> {
    fn context(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        Ok(match context {
            Some(c) => c.contiguous()?,
            None => Tensor::zeros(0, x.dtype(), x.device())?,
        })
    }
}

impl<U: Univariate> FusedLayer for Fused<'_, U> {
    fn values(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Mapped<Tensor>> {
        let Coupling { plan, theta, .. } = self.coupling;
        let (b, d) = x.dims2()?;
        let (x, c) = (x.contiguous()?, self.context(x, context)?);
        let save = x.track_op() || c.track_op() || theta.track_op();
        let (plan, direction) = (plan.clone(), self.direction);
        let packed = match x.dtype() {
            DType::F64 => x.apply_op3(&c, theta, CouplingOp::<U, f64>::new(plan, direction, save)),
            _ => x.apply_op3(&c, theta, CouplingOp::<U, f32>::new(plan, direction, save)),
        }?;
        let value = packed.narrow(0, 0, b * d)?.reshape((b, d))?;
        Ok(Mapped { value, log_abs_det: packed.narrow(0, b * d, b)? })
    }

    fn push(
        &self,
        x: &Tensor,
        tangents: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Option<Pushed>> {
        let Coupling { plan, theta, .. } = self.coupling;
        let c = self.context(x, context)?;
        if [x, tangents, &c, theta].iter().any(|t| t.track_op()) {
            return Ok(None);
        }
        let pushed = match x.dtype() {
            DType::F64 => push::<U, f64>(plan, self.direction, theta, x, tangents, &c),
            _ => push::<U, f32>(plan, self.direction, theta, x, tangents, &c),
        };
        Ok(Some(pushed?))
    }
}

impl<U: Univariate> Layer for Coupling<U> {
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn apply<T: Diff>(
        &self,
        direction: Direction,
        x: &T,
        context: Option<&T>,
    ) -> Result<Mapped<T>> {
        let fused = self.route == Route::Auto && x.value().device().is_cpu();
        if fused && let Some(mapped) = x.fused(&Fused { coupling: self, direction }, context)? {
            return Ok(mapped);
        }
        let (keep, moved) = (x.select(&self.keep)?, x.select(&self.moved)?);
        let net = self.plan.net.apply(&self.theta, &keep, context)?;
        let moved = if fused {
            moved.univariate(&net, &self.plan.map, direction)?
        } else {
            net.compose(&moved, &self.plan.map, direction)?
        };
        let value = T::cat(&[&keep, &moved.value])?.select(&self.merge)?;
        Ok(Mapped { value, log_abs_det: moved.log_abs_det })
    }
}
