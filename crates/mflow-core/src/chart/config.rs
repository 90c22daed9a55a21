//! [`ChartConfig`]: a chart as it is written in a config file.
use super::{Chart, FlatTorus, Hypersphere, LinearSubspace, Stereographic, Torus, ZeroPadding};
use crate::Result;
use crate::embedding::{ChartedFlow, Embedding};
use candle_core::{DType, Device};
use mflow_bijectors::Bijector;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::sync::Arc;

/// Any chart but a user's, as it is written in a config file: a table whose `kind` names it, or one of
/// the names [`ChartConfig::NAMES`] alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields, remote = "Self")]
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

impl Serialize for ChartConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for ChartConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let Some(name) = value.as_str() else {
            return Self::deserialize(value).map_err(D::Error::custom);
        };
        Self::named(name).ok_or_else(|| {
            let known = Self::NAMES.join("`, `");
            D::Error::custom(format!(
                "expected a chart, a table or one of `{known}`, found `{name}`"
            ))
        })
    }
}

impl ChartConfig {
    /// The charts that have a name: the unit circle, the unit sphere, and the torus of radii 1 and ½,
    /// all around the origin.
    pub const NAMES: [&str; 3] = ["circle", "sphere", "torus"];

    /// The chart of one of the [`NAMES`](Self::NAMES).
    pub fn named(name: &str) -> Option<Self> {
        let sphere = |dim| Self::Hypersphere { dim, radius: 1., center: vec![0.; dim + 1] };
        match name {
            "circle" => Some(sphere(1)),
            "sphere" => Some(sphere(2)),
            "torus" => Some(Self::Torus { major: 1., minor: 0.5 }),
            _ => None,
        }
    }

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
        self.visit(dtype, device, Alone)
    }

    /// Create the chart with the bijector `f` of `R^D` behind it: [`ChartedFlow::over`].
    ///
    /// # Errors
    /// If a number is out of range, or the chart does not fit into the space of `f`.
    pub fn build_over(&self, f: Arc<dyn Bijector>) -> Result<Box<dyn Embedding>> {
        let (dtype, device) = (f.signature().dtype, f.signature().device.clone());
        self.visit(dtype, &device, Behind { f })
    }

    fn visit<V: Visitor>(&self, dtype: DType, device: &Device, visitor: V) -> Result<V::Output> {
        match self {
            Self::ZeroPadding { coordinate_dim, data_dim } => {
                visitor.visit(ZeroPadding::new(*coordinate_dim, *data_dim, dtype, device)?)
            }
            Self::Hypersphere { dim, radius, center } => {
                visitor.visit(Hypersphere::new(*dim, *radius, center, dtype, device)?)
            }
            Self::Torus { major, minor } => visitor.visit(Torus::new(*major, *minor, dtype)?),
            Self::FlatTorus { radii } => visitor.visit(FlatTorus::new(radii, dtype, device)?),
            Self::LinearSubspace { basis, offset } => {
                visitor.visit(LinearSubspace::new(basis, offset, dtype, device)?)
            }
            Self::Stereographic { radius, center } => {
                visitor.visit(Stereographic::new(*radius, center, dtype, device)?)
            }
        }
    }
}

/// What is done with a chart once its type is known.
trait Visitor {
    type Output;
    fn visit<C: Chart + Clone + 'static>(self, chart: C) -> Result<Self::Output>;
}

/// The chart as it is.
struct Alone;

impl Visitor for Alone {
    type Output = Box<dyn Embedding>;
    fn visit<C: Chart + Clone + 'static>(self, chart: C) -> Result<Self::Output> {
        Ok(Box::new(chart))
    }
}

/// The chart before a bijector.
struct Behind {
    f: Arc<dyn Bijector>,
}

impl Visitor for Behind {
    type Output = Box<dyn Embedding>;
    fn visit<C: Chart + Clone + 'static>(self, chart: C) -> Result<Self::Output> {
        Ok(Box::new(ChartedFlow::over(chart, self.f)?))
    }
}
