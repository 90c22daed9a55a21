//! [`UnivariateConfig`]: any element-wise map as it is written in a config file.
use super::{
    Additive, Affine, AffineScale, CubicSpline, LinearSpline, QuadraticSpline, RationalQuadratic,
    Univariate,
};
use crate::Result;
use serde::{Deserialize, Serialize};

/// Any element-wise map whose parameters a conditioner computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum UnivariateConfig {
    /// [`Additive`].
    Additive,
    /// [`Affine`].
    Affine {
        /// How the scale is bounded.
        scale: AffineScale,
    },
    /// [`LinearSpline`].
    LinearSpline {
        /// Number of bins.
        bins: usize,
        /// Half the width of the box outside of which the map is the identity.
        tail_bound: f64,
    },
    /// [`QuadraticSpline`].
    QuadraticSpline {
        /// Number of bins.
        bins: usize,
        /// Half the width of the box outside of which the map is the identity.
        tail_bound: f64,
    },
    /// [`CubicSpline`].
    CubicSpline {
        /// Number of bins.
        bins: usize,
        /// Half the width of the box outside of which the map is the identity.
        tail_bound: f64,
    },
    /// [`RationalQuadratic`].
    RationalQuadratic {
        /// Number of bins.
        bins: usize,
        /// Half the width of the box outside of which the map is the identity.
        tail_bound: f64,
    },
    /// [`RationalQuadratic::circle`], of angles.
    CircularRationalQuadratic {
        /// Number of bins.
        bins: usize,
    },
}

impl Default for UnivariateConfig {
    /// Rational-quadratic splines of 10 bins on `[-6, 6]`.
    fn default() -> Self {
        Self::RationalQuadratic { bins: 10, tail_bound: 6. }
    }
}

/// What is done with an element-wise map once its type is known.
pub(crate) trait Visitor {
    type Output;
    fn visit<U: Univariate>(self, map: U) -> Result<Self::Output>;
}

impl UnivariateConfig {
    /// Create the map and hand it to `visitor`. The logits of splines are multiplied by
    /// `logit_scale`: conditioners of hidden width `H` use `1/√H`, as nflows does.
    pub(crate) fn visit<V: Visitor>(&self, logit_scale: f64, visitor: V) -> Result<V::Output> {
        match *self {
            Self::Additive => visitor.visit(Additive),
            Self::Affine { scale } => visitor.visit(Affine::new(scale)?),
            Self::LinearSpline { bins, tail_bound } => {
                visitor.visit(LinearSpline::new(bins, tail_bound)?)
            }
            Self::QuadraticSpline { bins, tail_bound } => {
                visitor.visit(QuadraticSpline::new(bins, tail_bound, logit_scale)?)
            }
            Self::CubicSpline { bins, tail_bound } => {
                visitor.visit(CubicSpline::new(bins, tail_bound, logit_scale)?)
            }
            Self::RationalQuadratic { bins, tail_bound } => {
                visitor.visit(RationalQuadratic::new(bins, tail_bound, logit_scale)?)
            }
            Self::CircularRationalQuadratic { bins } => {
                visitor.visit(RationalQuadratic::circle(bins)?)
            }
        }
    }
}
