//! Spheres in stereographic coordinates.
use super::{Chart, check_radius, numbers, refuse};
use crate::Result;
use candle_core::{DType, Device, Tensor};
use mflow_bijectors::{Diff, Domain};

/// The sphere `S^n` without its last pole, from `R^n` by stereographic projection:
///
/// ```text
/// x = centre + r (2u, |u|² - 1)/(|u|² + 1),   ½ log det Jᵀ J = n ln(2r/(1 + |u|²))
/// ```
///
/// Conformal; the origin is the pole opposite. The coordinates of the pole itself are infinite, those of
/// the centre NaN.
///
/// **Reference**: Gemici, Rezende & Mohamed (2016), *Normalizing Flows on Riemannian Manifolds*, arXiv
/// 1611.02304, section 4.
#[derive(Clone, Debug)]
pub struct Stereographic {
    dim: usize,
    radius: f64,
    center: Tensor,
}

impl Stereographic {
    /// The sphere around `center`, a point of `R^(n+1)`.
    ///
    /// # Errors
    /// If the centre has fewer than two coordinates or the radius is not positive.
    pub fn new(radius: f64, center: &[f64], dtype: DType, device: &Device) -> Result<Self> {
        check_radius("stereographic.radius", radius)?;
        if center.len() < 2 {
            let reason = format!("must have two coordinates or more, found {}", center.len());
            return refuse("stereographic.center", reason);
        }
        let dim = center.len() - 1;
        Ok(Self { dim, radius, center: numbers(center, &[dim + 1], dtype, device)? })
    }
}

impl Chart for Stereographic {
    fn coordinate_dim(&self) -> usize {
        self.dim
    }
    fn data_dim(&self) -> usize {
        self.dim + 1
    }
    fn domain(&self) -> Domain {
        Domain::Reals
    }
    fn dtype(&self) -> DType {
        self.center.dtype()
    }
    fn embed<T: Diff>(&self, u: &T) -> Result<T> {
        let square = u.mul(u)?.sum_last()?.unsqueeze_last()?;
        let all = T::cat(&[&u.scale(2.)?, &square.shift(-1.)?])?;
        let x = all.div(&square.shift(1.)?)?.scale(self.radius)?;
        Ok(x.add(&T::constant(&self.center))?)
    }
    fn coordinates(&self, x: &Tensor) -> Result<Tensor> {
        let v = x.broadcast_sub(&self.center)?;
        let norm = v.sqr()?.sum_keepdim(1)?.sqrt()?;
        let (flat, last) = (v.narrow(1, 0, self.dim)?, v.narrow(1, self.dim, 1)?);
        // |v| - v_last without cancellation near the pole: |flat|²/(|v| + v_last).
        let square = flat.sqr()?.sum_keepdim(1)?;
        let above = last.gt(0.)?;
        let safe = above.where_cond(&(&norm + &last)?, &norm.ones_like()?)?;
        let height = above.where_cond(&(square / safe)?, &(&norm - &last)?)?;
        Ok(flat.broadcast_div(&height)?)
    }
    fn log_volume(&self, u: &Tensor) -> Result<Tensor> {
        let square = u.sqr()?.sum(1)?;
        let log = ((square + 1.)?.log()? - (2. * self.radius).ln())?;
        Ok((log * -(self.dim as f64))?)
    }
}
