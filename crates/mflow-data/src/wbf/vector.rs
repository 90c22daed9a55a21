//! Momenta.

use std::ops::{Add, Neg, Sub};

use crate::simulators::number::Number;

/// A four-vector in GeV, in the metric (+, -, -, -).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FourVector {
    /// The energy.
    pub e: f64,
    /// Across the beams.
    pub x: f64,
    /// Across the beams.
    pub y: f64,
    /// Along the first beam.
    pub z: f64,
}

impl FourVector {
    /// From a transverse momentum, a rapidity and an azimuth, with a mass.
    #[must_use]
    pub fn from_rapidity(pt: f64, rapidity: f64, phi: f64, mass: f64) -> Self {
        let transverse = mass.hypot(pt);
        let (sin, cos) = phi.sin_cos();
        Self {
            e: transverse * rapidity.cosh(),
            x: pt * cos,
            y: pt * sin,
            z: transverse * rapidity.sinh(),
        }
    }

    /// From a transverse momentum, a pseudorapidity (that of the direction) and an azimuth, with a mass.
    #[must_use]
    pub fn from_direction(pt: f64, eta: f64, phi: f64, mass: f64) -> Self {
        let (sin, cos) = phi.sin_cos();
        let e = mass.hypot(pt * eta.cosh());
        Self { e, x: pt * cos, y: pt * sin, z: pt * eta.sinh() }
    }

    /// The product `p q` in the metric (+, -, -, -).
    #[must_use]
    pub fn dot(self, other: Self) -> f64 {
        self.e * other.e - self.x * other.x - self.y * other.y - self.z * other.z
    }

    /// The momentum across the beams.
    #[must_use]
    pub fn pt(self) -> f64 {
        self.x.hypot(self.y)
    }

    /// The pseudorapidity `asinh(p_z / p_T)`.
    #[must_use]
    pub fn eta(self) -> f64 {
        (self.z / self.pt()).asinh()
    }

    /// The azimuth, from -pi to pi.
    #[must_use]
    pub fn phi(self) -> f64 {
        self.y.atan2(self.x)
    }

    /// The invariant mass; 0 of what rounding has made spacelike.
    #[must_use]
    pub fn mass(self) -> f64 {
        self.dot(self).max(0.0).sqrt()
    }

    /// The vector, given in the rest frame of `frame`, in the frame where `frame` is given; `frame` must have a mass.
    #[must_use]
    pub fn boosted(self, frame: Self) -> Self {
        let mass = frame.mass();
        let along = self.x * frame.x + self.y * frame.y + self.z * frame.z;
        let e = (self.e * frame.e + along) / mass;
        let factor = (self.e + e) / (frame.e + mass);
        Self {
            e,
            x: self.x + factor * frame.x,
            y: self.y + factor * frame.y,
            z: self.z + factor * frame.z,
        }
    }
}

impl Add for FourVector {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { e: self.e + other.e, x: self.x + other.x, y: self.y + other.y, z: self.z + other.z }
    }
}

impl Neg for FourVector {
    type Output = Self;
    fn neg(self) -> Self {
        Self { e: -self.e, x: -self.x, y: -self.y, z: -self.z }
    }
}

impl Sub for FourVector {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

/// The smallest angle from one azimuth to another, from -pi to pi.
pub(super) fn angle_between(from: f64, to: f64) -> f64 {
    (to - from).wrapped()
}
