//! An orthographic camera that looks at the origin.

use crate::{Error, Result};

/// From where an orthographic camera looks, with the third axis upwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// Direction of the camera in the plane of the first two axes, degrees from the first axis
    /// towards the second.
    pub azimuth: f64,
    /// Height of the camera over that plane, degrees, between 0 and 90 and not either.
    pub elevation: f64,
}

impl Default for Camera {
    fn default() -> Self {
        Self { azimuth: -58.0, elevation: 26.0 }
    }
}

/// A camera's three orthonormal directions.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    right: [f64; 3],
    up: [f64; 3],
    /// From the scene to the camera.
    pub(super) toward: [f64; 3],
}

impl Camera {
    /// The camera's directions, or which of its angles is out of range.
    pub(super) fn view(&self) -> Result<View> {
        if !self.azimuth.is_finite() {
            let expected = "a finite number of degrees";
            return Err(Error::Style { what: "azimuth", expected, found: self.azimuth });
        }
        // The axes are labelled along the floor's near edges, which a camera below the floor or
        // right over it doesn't see.
        if !(self.elevation > 0.0 && self.elevation < 90.0) {
            let expected = "more than 0 and less than 90 degrees";
            return Err(Error::Style { what: "elevation", expected, found: self.elevation });
        }
        let (sin_a, cos_a) = self.azimuth.to_radians().sin_cos();
        let (sin_e, cos_e) = self.elevation.to_radians().sin_cos();
        Ok(View {
            right: [-sin_a, cos_a, 0.0],
            up: [-sin_e * cos_a, -sin_e * sin_a, cos_e],
            toward: [cos_e * cos_a, cos_e * sin_a, sin_e],
        })
    }
}

impl View {
    /// Where `point` lies on the picture, `[right, up]`, in the unit of the point.
    pub(super) fn project(&self, point: [f64; 3]) -> [f64; 2] {
        [dot(point, self.right), dot(point, self.up)]
    }

    /// How near to the camera `point` lies; larger is nearer.
    pub(super) fn nearness(&self, point: [f64; 3]) -> f64 {
        dot(point, self.toward)
    }
}

/// Scalar product.
pub(super) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}
