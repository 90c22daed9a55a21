//! Tori, of revolution and flat.
use super::angles::{atan2, norm};
use super::{Chart, check_radius, numbers, refuse};
use crate::Result;
use candle_core::{D, DType, Device, Tensor};
use mflow_bijectors::{Diff, Domain};

/// The torus of revolution in `R³`, with a tube of radius `r` around a circle of radius `R > r`:
///
/// ```text
/// x = ((R + r cos θ) cos φ, (R + r cos θ) sin φ, r sin θ),   u = (φ, θ)
/// ½ log det Jᵀ J = ln r + ln(R + r cos θ)
/// ```
///
/// The nearest point is unique but on the axis and on the core circle, where the angle is taken as 0.
///
/// **Reference**: do Carmo (1976), *Differential Geometry of Curves and Surfaces*, section 2-2.
#[derive(Clone, Debug)]
pub struct Torus {
    major: f64,
    minor: f64,
    dtype: DType,
}

impl Torus {
    /// A torus of radii `major > minor`.
    ///
    /// # Errors
    /// If a radius is not positive, or the tube meets itself.
    pub fn new(major: f64, minor: f64, dtype: DType) -> Result<Self> {
        check_radius("torus.major", major)?;
        check_radius("torus.minor", minor)?;
        if minor >= major {
            let reason = format!("must be less than the major radius {major}, found {minor}");
            return refuse("torus.minor", reason);
        }
        Ok(Self { major, minor, dtype })
    }
}

impl Chart for Torus {
    fn coordinate_dim(&self) -> usize {
        2
    }
    fn data_dim(&self) -> usize {
        3
    }
    fn domain(&self) -> Domain {
        Domain::Angle
    }
    fn dtype(&self) -> DType {
        self.dtype
    }
    fn embed<T: Diff>(&self, u: &T) -> Result<T> {
        let (around, tube) = (u.narrow(0, 1)?, u.narrow(1, 1)?);
        let distance = tube.cos()?.scale(self.minor)?.shift(self.major)?;
        let (x, y) = (distance.mul(&around.cos()?)?, distance.mul(&around.sin()?)?);
        Ok(T::cat(&[&x, &y, &tube.sin()?.scale(self.minor)?])?)
    }
    fn coordinates(&self, x: &Tensor) -> Result<Tensor> {
        let column = |i: usize| x.narrow(1, i, 1);
        let distance = norm(&x.narrow(1, 0, 2)?)?;
        let around = atan2(&column(1)?, &column(0)?)?;
        Ok(Tensor::cat(&[around, atan2(&column(2)?, &(distance - self.major)?)?], 1)?)
    }
    fn log_volume(&self, u: &Tensor) -> Result<Tensor> {
        let distance = ((u.narrow(1, 1, 1)?.squeeze(1)?.cos()? * self.minor)? + self.major)?;
        Ok((distance.log()? + self.minor.ln())?)
    }
}

/// The flat torus in `R^2n`: a circle of its own for each angle,
/// `x = (r_1 cos u_1, r_1 sin u_1, r_2 cos u_2, ..)`; `½ log det Jᵀ J = Σ ln r_i`.
///
/// **Reference**: Rezende et al. (2020), *Normalizing Flows on Tori and Spheres*, arXiv 2002.02428,
/// section 2.1.
#[derive(Clone, Debug)]
pub struct FlatTorus {
    radii: Vec<f64>,
    of_columns: Tensor,
}

impl FlatTorus {
    /// Circles of these radii.
    ///
    /// # Errors
    /// If there is none or a radius is not positive.
    pub fn new(radii: &[f64], dtype: DType, device: &Device) -> Result<Self> {
        if radii.is_empty() {
            return refuse("flat_torus.radii", "must not be empty".into());
        }
        for r in radii {
            check_radius("flat_torus.radii", *r)?;
        }
        let of_columns = numbers(radii, &[radii.len()], dtype, device)?;
        Ok(Self { radii: radii.to_vec(), of_columns })
    }
}

impl Chart for FlatTorus {
    fn coordinate_dim(&self) -> usize {
        self.radii.len()
    }
    fn data_dim(&self) -> usize {
        2 * self.radii.len()
    }
    fn domain(&self) -> Domain {
        Domain::Angle
    }
    fn dtype(&self) -> DType {
        self.of_columns.dtype()
    }
    fn embed<T: Diff>(&self, u: &T) -> Result<T> {
        let n = self.radii.len();
        let on_circle = |t: T| t.linear(|t| t.broadcast_mul(&self.of_columns));
        let (x, y) = (on_circle(u.cos()?)?, on_circle(u.sin()?)?);
        // Columns x_1, y_1, x_2, y_2, ..
        let pairs = T::cat(&[&x.unsqueeze_last()?, &y.unsqueeze_last()?])?;
        Ok(pairs.reshape(&[2 * n])?)
    }
    fn coordinates(&self, x: &Tensor) -> Result<Tensor> {
        let pairs = x.reshape((x.dim(0)?, self.radii.len(), 2))?;
        let part = |i: usize| pairs.narrow(D::Minus1, i, 1)?.squeeze(D::Minus1);
        atan2(&part(1)?, &part(0)?)
    }
    fn log_volume(&self, u: &Tensor) -> Result<Tensor> {
        let total: f64 = self.radii.iter().map(|r| r.ln()).sum();
        Ok((Tensor::ones(u.dim(0)?, u.dtype(), u.device())? * total)?)
    }
}
