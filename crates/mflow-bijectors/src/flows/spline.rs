//! The neural spline flow of the published M-flow experiments.
use super::{Dependence, Fast, FlowConfig, LinearKind, Norm, is_false};
use crate::Result;
use crate::config::BijectorConfig;
use crate::nn::{Activation, NetConfig};
use crate::norm::GaussianizeConfig;
use crate::route::Route;
use crate::univariate::UnivariateConfig;
use serde::{Deserialize, Serialize};

/// A neural spline flow: per step a linear map and an RQ coupling, closed by a linear map.
///
/// The layers are those of the published experiments, in the direction data to latent; the flow is
/// the inverse of their chain, so that its `forward` is latent to data. Durkan et al. (2019), arXiv
/// 1906.04032; Brehmer & Cranmer (2020), arXiv 2003.13913, section 4.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SplineFlowConfig {
    /// Number of couplings.
    pub layers: usize,
    /// The linear map before each coupling and at the end.
    pub linear: LinearKind,
    /// Bins of the splines.
    pub bins: usize,
    /// Half the width of the box outside of which the splines are the identity.
    pub tail_bound: f64,
    /// Hidden width of the conditioners.
    pub hidden: usize,
    /// Residual blocks of the conditioners.
    pub blocks: usize,
    /// Activation function of the conditioners.
    pub activation: Activation,
    /// Whether it starts as the identity exactly; see [`FlowConfig::starts_at_identity`].
    #[serde(skip_serializing_if = "is_false")]
    pub starts_at_identity: bool,
    /// Whether a [`crate::Gaussianize`] stands between the couplings and the data: each feature by itself is
    /// normal for the couplings from the start, once data were observed.
    #[serde(skip_serializing_if = "is_false")]
    pub gaussianize: bool,
    /// Kernels or tensor operations.
    pub route: Route,
}

impl Default for SplineFlowConfig {
    /// 5 couplings of 10 bins on `[-6, 6]`, permutations, conditioners of 2 blocks of width 100: the
    /// published flow of the polynomial surface.
    fn default() -> Self {
        let net = NetConfig::default();
        Self {
            layers: 5,
            linear: LinearKind::Permutation,
            bins: 10,
            tail_bound: 6.,
            hidden: net.hidden,
            blocks: net.blocks,
            activation: net.activation,
            starts_at_identity: false,
            gaussianize: false,
            route: Route::Auto,
        }
    }
}

impl SplineFlowConfig {
    /// The bijector on `dim` features with `context_dim` context features (0 for none).
    ///
    /// # Errors
    /// If there is no layer.
    pub fn bijector(&self, dim: usize, context_dim: usize) -> Result<BijectorConfig> {
        let (bins, tail_bound) = (self.bins, self.tail_bound);
        let flow = FlowConfig {
            layers: self.layers,
            dependence: Dependence::Coupling,
            map: UnivariateConfig::RationalQuadratic { bins, tail_bound },
            net: NetConfig::new(self.hidden, self.blocks).with_activation(self.activation),
            linear: self.linear,
            norm: Norm::None,
            fast: Fast::Density,
            starts_at_identity: self.starts_at_identity,
            route: self.route,
        };
        let flow = flow.bijector(dim, context_dim)?;
        if !self.gaussianize {
            return Ok(flow);
        }
        let marginals = GaussianizeConfig::new(dim).with_route(self.route);
        let of = Box::new(BijectorConfig::Gaussianize(marginals));
        Ok(BijectorConfig::Chain { layers: vec![flow, BijectorConfig::Inverted { of }] })
    }
}
