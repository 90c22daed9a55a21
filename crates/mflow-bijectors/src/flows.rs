//! Ready-made flows.
use crate::config::BijectorConfig;
use crate::coupling::{CouplingConfig, Mask, Route};
use crate::linear::{LuLinearConfig, PermutationConfig};
use crate::nn::{Activation, NetConfig};
use crate::univariate::UnivariateConfig;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The linear map between the couplings of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LinearKind {
    /// A fixed random permutation.
    #[default]
    Permutation,
    /// A fixed random permutation, then a trained linear map by its LU factors.
    Lu,
}

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
        if self.layers == 0 {
            return Err(Error::config("layers", "must be positive, found 0"));
        }
        let linear = |layers: &mut Vec<BijectorConfig>| {
            layers.push(BijectorConfig::Permutation(PermutationConfig::new(dim)));
            if self.linear == LinearKind::Lu {
                layers.push(BijectorConfig::LuLinear(LuLinearConfig::new(dim)));
            }
        };
        let net = NetConfig::new(self.hidden, self.blocks).with_activation(self.activation);
        let mut layers = vec![];
        for i in 0..self.layers {
            linear(&mut layers);
            let (bins, tail_bound) = (self.bins, self.tail_bound);
            let coupling = CouplingConfig::new(dim, Mask::alternating(i))
                .with_context(context_dim)
                .with_map(UnivariateConfig::RationalQuadratic { bins, tail_bound })
                .with_net(net.clone())
                .with_route(self.route);
            layers.push(BijectorConfig::Coupling(coupling));
        }
        linear(&mut layers);
        Ok(BijectorConfig::Inverted { of: Box::new(BijectorConfig::Chain { layers }) })
    }
}
