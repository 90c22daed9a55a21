//! The rational-quadratic spline as a composition of tensor operations: the path of other devices
//! and the oracle of the kernels, for values and tangents at once.
use super::knots::{MIN_BIN, to_unit};
use super::rational_quadratic::MIN_SLOPE;
use super::{RationalQuadratic, ScalarMap, Univariate};
use crate::bijector::{Direction, Mapped};
use crate::domain::Domain;
use crate::{Diff, Result, host};
use candle_core::{D, DType, Device, Tensor};

impl Univariate for RationalQuadratic {
    /// Equal bins with unit derivatives.
    fn identity(&self) -> Vec<f64> {
        let mut p = vec![0.; self.parameters()];
        p[2 * self.bins..].fill(Self::unit_slope());
        p
    }
    fn domain(&self) -> Domain {
        if self.circular { Domain::Angle } else { Domain::Reals }
    }
    fn compose<T: Diff>(&self, direction: Direction, x: &T, p: &T) -> Result<Mapped<T>> {
        let (n, bound, v) = (self.bins, self.bound, x.value());
        let inverse = direction == Direction::Inverse;
        let reach = self.reach();
        let inside = (v.ge(-reach)? * v.le(reach)?)?;
        let outside = inside.eq(0u8)?;
        let clamped = x.masked(&inside)?;
        // Column i sums the bins below knot i; the last knot is pinned to the bound.
        let sums = (0..n * (n + 1)).map(|e| f64::from(e % (n + 1) > e / (n + 1)));
        let sums = Tensor::from_vec(sums.collect::<Vec<_>>(), (n, n + 1), &Device::Cpu)?;
        let sums = host::place(&sums.narrow(1, 0, n)?.contiguous()?, v.dtype(), v.device())?;
        let axis = |start: usize| -> Result<(T, T)> {
            let share = p.narrow(start, n)?.scale(self.logit_scale)?.softmax()?;
            let share = share.scale(1. - MIN_BIN * n as f64)?.shift(MIN_BIN)?;
            let sizes = share.scale(2. * bound)?;
            Ok((sizes.matmul(&sums)?.shift(-bound)?, sizes))
        };
        let ((knots_x, widths), (knots_y, heights)) = (axis(0)?, axis(n)?);
        let one = T::constant(&v.ones_like()?.unsqueeze(D::Minus1)?);
        let slopes = if self.circular {
            let all = p.narrow(2 * n, n)?.softplus()?.shift(MIN_SLOPE)?;
            T::cat(&[&all, &all.narrow(0, 1)?])?
        } else if n > 1 {
            let inner = p.narrow(2 * n, n - 1)?.softplus()?.shift(MIN_SLOPE)?;
            T::cat(&[&one, &inner, &one])?
        } else {
            T::cat(&[&one, &one])?
        };
        // The bin: how many inner knots lie at or below the point.
        let knots = if inverse { &knots_y } else { &knots_x }.value().detach();
        let at_or_above = clamped.value().detach().unsqueeze(D::Minus1)?.broadcast_ge(&knots)?;
        let count = at_or_above.to_dtype(DType::U32)?.sum_keepdim(D::Minus1)?.maximum(1u32)?;
        let k = (&count - count.ones_like()?)?;
        let pick = |t: &T| t.gather(&k);
        let (xk, w, yk, h) = (pick(&knots_x)?, pick(&widths)?, pick(&knots_y)?, pick(&heights)?);
        let (d0, d1) = (pick(&slopes)?, slopes.gather(&count)?);
        let s = h.div(&w)?;
        let curve = d0.add(&d1)?.sub(&s.scale(2.)?)?;
        let theta = if inverse {
            let dy = clamped.sub(&yk)?;
            let t = dy.mul(&curve)?;
            let a = t.add(&h.mul(&s.sub(&d0)?)?)?;
            let b = h.mul(&d0)?.sub(&t)?;
            let c = s.mul(&dy)?.neg()?;
            let discriminant = b.mul(&b)?.sub(&a.mul(&c)?.scale(4.)?)?.relu()?;
            // Without cancellation for either sign of b, as in the kernel.
            let root = discriminant.sqrt()?;
            let positive = b.value().ge(0.)?;
            let negative = positive.eq(0u8)?;
            let either = |yes: &T, no: &T| yes.masked(&positive)?.add(&no.masked(&negative)?);
            let above = either(&c.scale(-2.)?, &root.sub(&b)?)?;
            above.div(&either(&b.add(&root)?, &a.scale(2.)?)?)?
        } else {
            clamped.sub(&xk)?.div(&w)?
        };
        // Rounding may leave the bin, where the slope could be negative.
        let theta = to_unit(&theta)?;
        let rest = theta.neg()?.shift(1.)?;
        let (u, theta2) = (theta.mul(&rest)?, theta.mul(&theta)?);
        let d = s.add(&curve.mul(&u)?)?;
        let m = d1.mul(&theta2)?.add(&s.mul(&u)?.scale(2.)?)?;
        let m = m.add(&d0.mul(&rest)?.mul(&rest)?)?;
        let l = m.mul(&s)?.mul(&s)?.ln()?.sub(&d.ln()?.scale(2.)?)?;
        let (y, l) = if inverse {
            (xk.add(&w.mul(&theta)?)?, l.neg()?)
        } else {
            let num = s.mul(&theta2)?.add(&d0.mul(&u)?)?;
            (yk.add(&h.mul(&num)?.div(&d)?)?, l)
        };
        let value = y.masked(&inside)?.add(&x.masked(&outside)?)?;
        Ok(Mapped { value, log_abs_det: l.masked(&inside)?.sum_last()? })
    }
}
