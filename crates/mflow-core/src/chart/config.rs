//! [`ChartConfig`]: a chart as it is written in a config file.
use super::{FlatTorus, Hypersphere, LinearSubspace, Stereographic, Torus, ZeroPadding};
use crate::Result;
use crate::embedding::Embedding;
use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};

/// Any chart but a user's, as it is written in a config file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ChartConfig {
    /// [`ZeroPadding`].
    ZeroPadding {
        /// Dimension of the manifold.
        coordinate_dim: usize,
        /// Dimension of the space.
        data_dim: usize,
    },
    /// [`Hypersphere`].
    Hypersphere {
        /// Dimension of the sphere.
        dim: usize,
        /// Radius.
        radius: f64,
        /// Centre; its length is the dimension of the space.
        center: Vec<f64>,
    },
    /// [`Torus`].
    Torus {
        /// Radius of the core circle.
        major: f64,
        /// Radius of the tube.
        minor: f64,
    },
    /// [`FlatTorus`].
    FlatTorus {
        /// Radius of each circle.
        radii: Vec<f64>,
    },
    /// [`LinearSubspace`].
    LinearSubspace {
        /// Vectors that span it.
        basis: Vec<Vec<f64>>,
        /// The point of coordinates 0.
        offset: Vec<f64>,
    },
    /// [`Stereographic`].
    Stereographic {
        /// Radius of the sphere.
        radius: f64,
        /// Centre; of `n + 1` numbers for `S^n`.
        center: Vec<f64>,
    },
}

impl ChartConfig {
    /// Dimensions of the space around the manifold and of the manifold, `(D, N)`.
    pub fn dims(&self) -> (usize, usize) {
        match self {
            Self::ZeroPadding { coordinate_dim, data_dim } => (*data_dim, *coordinate_dim),
            Self::Hypersphere { dim, center, .. } => (center.len(), *dim),
            Self::Torus { .. } => (3, 2),
            Self::FlatTorus { radii } => (2 * radii.len(), radii.len()),
            Self::LinearSubspace { basis, offset } => (offset.len(), basis.len()),
            Self::Stereographic { center, .. } => (center.len(), center.len().saturating_sub(1)),
        }
    }

    /// Whether all coordinates are angles.
    pub(crate) fn has_angles_only(&self) -> bool {
        match self {
            Self::Hypersphere { dim, .. } => *dim == 1,
            Self::Torus { .. } | Self::FlatTorus { .. } => true,
            _ => false,
        }
    }

    /// Create the chart.
    ///
    /// # Errors
    /// If a number is out of range.
    pub fn build(&self, dtype: DType, device: &Device) -> Result<Box<dyn Embedding>> {
        Ok(match self {
            Self::ZeroPadding { coordinate_dim, data_dim } => {
                Box::new(ZeroPadding::new(*coordinate_dim, *data_dim, dtype, device)?)
            }
            Self::Hypersphere { dim, radius, center } => {
                Box::new(Hypersphere::new(*dim, *radius, center, dtype, device)?)
            }
            Self::Torus { major, minor } => Box::new(Torus::new(*major, *minor, dtype)?),
            Self::FlatTorus { radii } => Box::new(FlatTorus::new(radii, dtype, device)?),
            Self::LinearSubspace { basis, offset } => {
                Box::new(LinearSubspace::new(basis, offset, dtype, device)?)
            }
            Self::Stereographic { radius, center } => {
                Box::new(Stereographic::new(*radius, center, dtype, device)?)
            }
        })
    }
}
