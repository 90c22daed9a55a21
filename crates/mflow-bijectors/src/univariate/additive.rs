//! The additive map.
use super::{Point, ScalarMap, Univariate};
use crate::bijector::{Direction, Mapped};
use crate::kernel::Real;
use crate::shape::no_log_det;
use crate::{Diff, Result};
use candle_core::D;

/// `y = x + p`; preserves volume: `log|dy/dx| = 0`.
///
/// Dinh, Krueger & Bengio (2014), *NICE*, arXiv 1410.8516, section 3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Additive;

impl ScalarMap for Additive {
    fn parameters(&self) -> usize {
        1
    }
    fn scratch(&self) -> usize {
        0
    }
    #[inline(always)]
    fn value<R: Real>(&self, direction: Direction, x: R, p: &[R], _: &mut [R]) -> Point<R> {
        let y = match direction {
            Direction::Forward => x + p[0],
            Direction::Inverse => x - p[0],
        };
        Point { y, log_slope: x.constant(0.) }
    }
    #[inline(always)]
    fn pullback<R: Real>(
        &self,
        direction: Direction,
        _: R,
        _: &[R],
        cotangent: Point<R>,
        g_p: &mut [R],
        _: &mut [R],
    ) -> R {
        g_p[0] = match direction {
            Direction::Forward => cotangent.y,
            Direction::Inverse => -cotangent.y,
        };
        cotangent.y
    }
}

impl Univariate for Additive {
    fn identity(&self) -> Vec<f64> {
        vec![0.]
    }
    fn compose<T: Diff>(&self, direction: Direction, x: &T, p: &T) -> Result<Mapped<T>> {
        let p = p.linear(|t| t.squeeze(D::Minus1))?;
        let value = match direction {
            Direction::Forward => x.add(&p)?,
            Direction::Inverse => x.sub(&p)?,
        };
        Ok(Mapped { value, log_abs_det: no_log_det(x)? })
    }
}
