//! Spheres in spherical coordinates.
use super::angles::{atan2, norm};
use super::{Chart, check_radius, numbers, refuse};
use crate::Result;
use candle_core::{D, DType, Device, Tensor};
use mflow_bijectors::{Diff, Domain};
use std::f64::consts::PI;

/// The sphere `S^n` of a given radius and centre in `R^D`, `D > n`, in spherical coordinates:
///
/// ```text
/// s_1 = cos φ_1,  s_2 = sin φ_1 cos φ_2,  ..,  s_n = sin φ_1 .. sin φ_(n-1) cos φ_n,
/// s_(n+1) = sin φ_1 .. sin φ_(n-1) sin φ_n;          x = centre + r Σ_i s_i e_i
/// ½ log det Jᵀ J = n ln r + Σ_(i<n) (n - i) ln sin φ_i
/// ```
///
/// `φ_1 .. φ_(n-1)` are in `(0, π)`, `φ_n` is an angle; `n = 1` is a circle. The `e_i` are the first axes
/// of `R^D`. The nearest point of the centre is the pole `φ = 0`. At the poles the coordinates are not
/// unique and the volume is 0.
///
/// **Reference**: Blumenson (1960), *A derivation of n-dimensional spherical coordinates*; for flows on
/// spheres Rezende et al. (2020), arXiv 2002.02428, section 2.2.
#[derive(Clone, Debug)]
pub struct Hypersphere {
    dim: usize,
    radius: f64,
    center: Tensor,
}

impl Hypersphere {
    /// The sphere `S^dim` around `center`, which says the dimension of the space.
    ///
    /// # Errors
    /// If `dim` is 0, the space has not more dimensions, or the radius is not positive.
    pub fn new(
        dim: usize,
        radius: f64,
        center: &[f64],
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        check_radius("hypersphere.radius", radius)?;
        if dim == 0 || center.len() <= dim {
            let reason = format!(
                "must be positive and less than the length of the centre, {}, found {dim}",
                center.len()
            );
            return refuse("hypersphere.dim", reason);
        }
        Ok(Self { dim, radius, center: numbers(center, &[center.len()], dtype, device)? })
    }
}

impl Chart for Hypersphere {
    fn coordinate_dim(&self) -> usize {
        self.dim
    }
    fn data_dim(&self) -> usize {
        self.center.elem_count()
    }
    fn domain(&self) -> Domain {
        let mut each = vec![Domain::Interval { low: 0., high: PI }; self.dim - 1];
        each.push(Domain::Angle);
        Domain::Features(each)
    }
    fn dtype(&self) -> DType {
        self.center.dtype()
    }
    fn embed<T: Diff>(&self, u: &T) -> Result<T> {
        let (mut s, mut sines) = (vec![], None::<T>);
        for i in 0..self.dim {
            let angle = u.narrow(i, 1)?;
            let (sin, cos) = (angle.sin()?, angle.cos()?);
            match &sines {
                None => {
                    s.push(cos);
                    sines = Some(sin);
                }
                Some(before) => {
                    s.push(before.mul(&cos)?);
                    sines = Some(before.mul(&sin)?);
                }
            }
        }
        s.extend(sines);
        let s = T::cat(&s.iter().collect::<Vec<_>>())?.scale(self.radius)?;
        let rest = Chart::data_dim(self) - self.dim - 1;
        let x = s.linear(|t| t.pad_with_zeros(D::Minus1, 0, rest))?;
        Ok(x.add(&T::constant(&self.center))?)
    }
    fn coordinates(&self, x: &Tensor) -> Result<Tensor> {
        let v = x.broadcast_sub(&self.center)?;
        let column = |i: usize| v.narrow(1, i, 1);
        let mut angles = vec![];
        for i in 0..self.dim - 1 {
            let rest = norm(&v.narrow(1, i + 1, self.dim - i)?)?;
            angles.push(atan2(&rest, &column(i)?)?);
        }
        angles.push(atan2(&column(self.dim)?, &column(self.dim - 1)?)?);
        Ok(Tensor::cat(&angles, 1)?)
    }
    fn log_volume(&self, u: &Tensor) -> Result<Tensor> {
        let scale = self.dim as f64 * self.radius.ln();
        let mut total = (Tensor::ones(u.dim(0)?, u.dtype(), u.device())? * scale)?;
        for i in 0..self.dim - 1 {
            let sine = u.narrow(1, i, 1)?.squeeze(1)?.sin()?;
            total = (total + (sine.log()? * (self.dim - 1 - i) as f64)?)?;
        }
        Ok(total)
    }
}
