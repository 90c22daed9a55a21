//! [`Dual`]: values with tangent rows.
use super::Diff;
use crate::bijector::{Bijector, Direction, Mapped};
use crate::host;
use crate::kernel::FusedLayer;
use crate::nn::Conditioned;
use crate::univariate::Univariate;
use crate::{Error, Result};
use candle_core::{D, Tensor};

/// A value `[B, ..shape]` with `K` tangent rows `[B, K, ..shape]`, or with none (then every tangent
/// is zero, at no cost).
#[derive(Clone, Debug)]
pub struct Dual {
    pub(super) value: Tensor,
    pub(super) tangents: Option<Tensor>,
    pub(super) log_det: bool,
}

impl Dual {
    /// Pair a value `[B, ..shape]` with tangent rows `[B, K, ..shape]`. Log-dets come back without
    /// tangents; see [`Dual::with_log_det`].
    ///
    /// # Errors
    /// If shapes, dtypes or devices do not fit.
    #[expect(clippy::indexing_slicing, reason = "the number of axes is compared first")]
    pub fn new(value: Tensor, tangents: Tensor) -> Result<Self> {
        let (v, t) = (value.dims(), tangents.dims());
        if v.is_empty() || t.len() != v.len() + 1 || t[0] != v[0] || t[2..] != v[1..] {
            let rest: String = v.iter().skip(1).map(|d| format!(", {d}")).collect();
            return Err(Error::Shape {
                op: "Dual::new",
                arg: "tangents",
                expected: format!("[{}, K{rest}]", v.first().unwrap_or(&0)),
                found: t.to_vec(),
            });
        }
        if value.dtype() != tangents.dtype() {
            return Err(Error::DType {
                op: "Dual::new",
                arg: "tangents",
                expected: value.dtype(),
                found: tangents.dtype(),
            });
        }
        Ok(Self { value, tangents: Some(tangents), log_det: false })
    }

    /// Also carry the tangents of log-dets: scores such as d log p / d context need them, the Gram
    /// matrix does not and should not pay for them.
    #[must_use]
    pub fn with_log_det(self) -> Self {
        Self { log_det: true, ..self }
    }

    /// The tangent rows `[B, K, ..shape]`, or `None` if all are zero.
    pub fn tangents(&self) -> Option<&Tensor> {
        self.tangents.as_ref()
    }

    /// Whether log-dets carry tangents.
    pub fn has_log_det(&self) -> bool {
        self.log_det
    }

    /// Drop the tangents of this log-det unless `x` or `context` asks for them.
    pub(crate) fn log_det_as_asked(self, x: &Self, context: Option<&Self>) -> Self {
        if x.log_det || context.is_some_and(|c| c.log_det) {
            self
        } else {
            Self::constant(&self.value)
        }
    }

    fn like(&self, value: Tensor, tangents: Option<Tensor>) -> Self {
        Self { value, tangents, log_det: self.log_det }
    }
}

/// Give a value `[B, ..shape]` the row axis of tangents, `[B, 1, ..shape]`.
fn row(t: &Tensor) -> candle_core::Result<Tensor> {
    t.unsqueeze(1)
}

/// Sum of two optional terms.
fn plus(a: Option<Tensor>, b: Option<Tensor>) -> Result<Option<Tensor>> {
    Ok(match (a, b) {
        (Some(a), Some(b)) => Some(a.broadcast_add(&b)?),
        (a, b) => a.or(b),
    })
}

impl Diff for Dual {
    fn value(&self) -> &Tensor {
        &self.value
    }
    fn constant(value: &Tensor) -> Self {
        Self { value: value.clone(), tangents: None, log_det: false }
    }
    fn linear(&self, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<Self> {
        let tangents = self.tangents.as_ref().map(&f).transpose()?;
        Ok(self.like(f(&row(&self.value)?)?.squeeze(1)?, tangents))
    }
    fn elementwise(
        &self,
        value: Tensor,
        derivative: impl FnOnce() -> candle_core::Result<Tensor>,
    ) -> Result<Self> {
        let push = |t: &Tensor| match t.elem_count() {
            // GPUs cannot compute the derivative at nothing.
            0 => Ok(t.clone()),
            _ => t.broadcast_mul(&row(&derivative()?)?),
        };
        Ok(self.like(value, self.tangents.as_ref().map(push).transpose()?))
    }
    fn add(&self, rhs: &Self) -> Result<Self> {
        Ok(Self {
            value: self.value.broadcast_add(&rhs.value)?,
            tangents: plus(self.tangents.clone(), rhs.tangents.clone())?,
            log_det: self.log_det || rhs.log_det,
        })
    }
    fn mul(&self, rhs: &Self) -> Result<Self> {
        // A factor without a batch axis, such as one number per feature, has no place for rows either.
        let half = |t: &Option<Tensor>, v: &Tensor| {
            let scale = |t: &Tensor| match v.rank() + 1 == t.rank() {
                true => t.broadcast_mul(&row(v)?),
                false => t.broadcast_mul(v),
            };
            t.as_ref().map(scale).transpose()
        };
        let (l, r) = (half(&self.tangents, &rhs.value)?, half(&rhs.tangents, &self.value)?);
        Ok(Self {
            value: self.value.broadcast_mul(&rhs.value)?,
            tangents: plus(l, r)?,
            log_det: self.log_det || rhs.log_det,
        })
    }
    fn cat(parts: &[&Self]) -> Result<Self> {
        let values: Vec<_> = parts.iter().map(|p| &p.value).collect();
        let value = Tensor::cat(&values, D::Minus1)?;
        let log_det = parts.iter().any(|p| p.log_det);
        let Some(some) = parts.iter().find_map(|p| p.tangents.as_ref()) else {
            return Ok(Self { value, tangents: None, log_det });
        };
        let k = some.dim(1)?;
        let rows = |p: &&Self| match &p.tangents {
            Some(t) => Ok(t.clone()),
            None => {
                let mut shape = p.value.dims().to_vec();
                shape.insert(1, k);
                host::zeros(shape, value.dtype(), value.device())
            }
        };
        let rows = parts.iter().map(rows).collect::<candle_core::Result<Vec<_>>>()?;
        Ok(Self { tangents: Some(Tensor::cat(&rows, D::Minus1)?), value, log_det })
    }
    fn through(
        &self,
        map: &dyn Bijector,
        direction: Direction,
        context: Option<&Self>,
    ) -> Result<Mapped<Self>> {
        map.push(direction, self, context)
    }
    fn fused<F: FusedLayer>(
        &self,
        kernel: &F,
        context: Option<&Self>,
    ) -> Result<Option<Mapped<Self>>> {
        if context.is_some_and(|c| c.tangents.is_some())
            || (self.log_det && self.tangents.is_some())
        {
            return Ok(None);
        }
        let context = context.map(|c| &c.value);
        match &self.tangents {
            Some(tangents) => {
                Ok(kernel.push(&self.value, tangents, context)?.map(|pushed| Mapped {
                    value: self.like(pushed.value, Some(pushed.tangents)),
                    log_abs_det: Self::constant(&pushed.log_abs_det),
                }))
            }
            None => {
                let Mapped { value, log_abs_det } = kernel.values(&self.value, context)?;
                let (value, log_abs_det) = (self.like(value, None), self.like(log_abs_det, None));
                Ok(Some(Mapped { value, log_abs_det }))
            }
        }
    }
    fn univariate<U: Univariate>(
        &self,
        net: &Conditioned<Self>,
        map: &U,
        direction: Direction,
    ) -> Result<Mapped<Self>> {
        let Conditioned { hidden, last } = net;
        let log_det = self.log_det || hidden.log_det;
        let (b, t) = self.value.dims2()?;
        let p = Diff::affine(&hidden.value, last)?.reshape((b, t, map.parameters()))?;
        let g = map.gradient(direction, &self.value, &p, log_det)?;
        // Contract dy/dp with the last affine map first:
        // A[b,t,h] = sum_k dy/dp[b,t,k] W[h,(t,k)]; then push the tangents of the hidden layer.
        let width = last.weight.dim(0)?;
        let (mut y, mut l) = (None, None);
        if let Some(rows) = &hidden.tangents {
            let w = last.weight.reshape((width, t, map.parameters()))?;
            let w = w.permute((1, 2, 0))?.contiguous()?;
            let a = g.dy_dp.transpose(0, 1)?.contiguous()?.matmul(&w)?;
            y = Some(rows.matmul(&a.permute((1, 2, 0))?.contiguous()?)?);
            if let Some(dl) = &g.log_det {
                // Only the sum over the features is wanted: one ordinary matmul.
                let a = dl
                    .dp
                    .reshape((b, t * map.parameters()))?
                    .matmul(&last.weight.t()?)?
                    .unsqueeze(2)?;
                l = Some(rows.matmul(&a)?.squeeze(2)?);
            }
        }
        if let Some(rows) = &self.tangents {
            y = plus(y, Some(rows.broadcast_mul(&row(&g.dy_dx)?)?))?;
            if let Some(dl) = &g.log_det {
                let term = rows.contiguous()?.matmul(&dl.dx.unsqueeze(2)?)?.squeeze(2)?;
                l = plus(l, Some(term))?;
            }
        }
        let like = |value, tangents| Self { value, tangents, log_det };
        Ok(Mapped { value: like(g.y, y), log_abs_det: like(g.l.sum(1)?, l) })
    }
    fn pointwise<U: Univariate>(
        &self,
        p: &Self,
        map: &U,
        direction: Direction,
    ) -> Result<Mapped<Self>> {
        let log_det = self.log_det || p.log_det;
        let like = |value, tangents| Self { value, tangents, log_det };
        if self.tangents.is_none() && p.tangents.is_none() {
            let [y, l] = map.values(direction, &self.value, &p.value)?;
            return Ok(Mapped { value: like(y, None), log_abs_det: like(l.sum(D::Minus1)?, None) });
        }
        let g = map.gradient(direction, &self.value, &p.value, log_det)?;
        // The tangent of an output whose derivatives by x and p are these, element by element.
        let push = |dx: &Tensor, dp: &Tensor| {
            let of_x = self.tangents.as_ref().map(|t| t.broadcast_mul(&row(dx)?)).transpose()?;
            let contract = |t: &Tensor| t.broadcast_mul(&row(dp)?)?.sum(D::Minus1);
            plus(of_x, p.tangents.as_ref().map(contract).transpose()?)
        };
        let y = push(&g.dy_dx, &g.dy_dp)?;
        let l = match &g.log_det {
            Some(of) => push(&of.dx, &of.dp)?.map(|t| t.sum(D::Minus1)).transpose()?,
            None => None,
        };
        Ok(Mapped { value: like(g.y, y), log_abs_det: like(g.l.sum(D::Minus1)?, l) })
    }
    fn check_tangents(op: &'static str, x: &Self, context: &Self) -> Result<()> {
        if let (Some(a), Some(b)) = (&x.tangents, &context.tangents)
            && a.dim(1)? != b.dim(1)?
        {
            return Err(Error::Shape {
                op,
                arg: "context tangents",
                expected: format!("[B, {}, C]", a.dim(1)?),
                found: b.dims().to_vec(),
            });
        }
        Ok(())
    }
}
