//! Ready-made flows: published stacks of layers by name.
mod glow;
mod image;
mod levels;
mod spline;

pub use glow::GlowConfig;
pub use image::ImageFlowConfig;
pub use spline::SplineFlowConfig;

use crate::Result;
use crate::autoregressive::AutoregressiveConfig;
use crate::config::BijectorConfig;
use crate::count::check_layers;
use crate::coupling::{CouplingConfig, Mask};
use crate::linear::{LuLinearConfig, Order, PermutationConfig};
use crate::nn::NetConfig;
use crate::norm::{ActNormConfig, BatchNormConfig};
use crate::route::Route;
use crate::univariate::{AffineScale, UnivariateConfig};
use serde::{Deserialize, Serialize};

/// The linear map between the layers of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LinearKind {
    /// A fixed random permutation.
    #[default]
    Permutation,
    /// A fixed random permutation, then a trained linear map by its LU factors.
    Lu,
    /// The features in reverse order.
    Reverse,
    /// Nothing: alternating masks alone mix the features.
    None,
}

/// How the features of a layer depend on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Dependence {
    /// Couplings with alternating masks, even features first: both directions cost the same.
    Coupling,
    /// Masked autoregressive layers: one direction costs one evaluation per feature.
    Autoregressive,
}

/// The normalisation behind each layer of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Norm {
    /// None.
    #[default]
    None,
    /// [`crate::ActNorm`]; initialise it by [`crate::Bijector::observe`].
    ActNorm,
    /// [`crate::BatchNorm`]; see [`crate::Bijector::observe`] and [`crate::Bijector::training`].
    BatchNorm,
}

/// The direction in which a layer is a single evaluation of its networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fast {
    /// Data to latent: fast densities.
    #[default]
    Density,
    /// Latent to data: fast samples.
    Sampling,
}

/// A flow of vectors: a stack of equal layers with linear maps between them.
///
/// The constructors have published architectures at a width and depth for data of few dimensions;
/// every field may be changed. The layers are written data to latent, as published, and the flow is
/// the inverse of their chain, so that `forward` is latent to data; `fast: sampling` takes the chain
/// as it is.
///
/// ```
/// use mflow_bijectors::candle::{DType, Device};
/// use mflow_bijectors::{FlowConfig, ParamStore};
/// # fn main() -> mflow_bijectors::Result<()> {
/// let mut store = ParamStore::new(1, DType::F32, &Device::Cpu);
/// let flow = store.create(&FlowConfig::maf().bijector(5, 0)?)?;
/// assert_eq!(flow.signature().data_shape, [5]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FlowConfig {
    /// Number of layers.
    pub layers: usize,
    /// Couplings or autoregressive layers.
    pub dependence: Dependence,
    /// The element-wise map of the layers.
    pub map: UnivariateConfig,
    /// The conditioners.
    #[serde(default)]
    pub net: NetConfig,
    /// The linear map before each layer, and at the end unless it is [`LinearKind::None`].
    #[serde(default)]
    pub linear: LinearKind,
    /// The normalisation behind each layer.
    #[serde(default)]
    pub norm: Norm,
    /// The fast direction of the layers.
    #[serde(default)]
    pub fast: Fast,
    /// Whether couplings start as the identity exactly: the last maps of the conditioners are 0, and no linear map draws
    /// a permutation. Otherwise it starts near a permutation.
    #[serde(default, skip_serializing_if = "is_false")]
    pub starts_at_identity: bool,
    /// Kernels or tensor operations.
    #[serde(default)]
    pub route: Route,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(crate) fn is_false(v: &bool) -> bool {
    !v
}

impl FlowConfig {
    fn new(layers: usize, dependence: Dependence, map: UnivariateConfig) -> Self {
        Self {
            layers,
            dependence,
            map,
            net: NetConfig::new(64, 2),
            linear: LinearKind::Permutation,
            norm: Norm::None,
            fast: Fast::Density,
            starts_at_identity: false,
            route: Route::Auto,
        }
    }

    /// Neural spline flow of couplings, RQ-NSF (C): 5 layers, rational-quadratic splines of 8 bins on
    /// `[-4, 4]`, LU-linear maps. Durkan et al. (2019), arXiv 1906.04032, section 5.
    pub fn nsf_coupling() -> Self {
        let map = UnivariateConfig::RationalQuadratic { bins: 8, tail_bound: 4. };
        Self { linear: LinearKind::Lu, ..Self::new(5, Dependence::Coupling, map) }
    }
    /// Neural spline flow of autoregressive layers, RQ-NSF (AR): the same with masked networks.
    /// Durkan et al. (2019), arXiv 1906.04032, section 5.
    pub fn nsf_autoregressive() -> Self {
        Self { dependence: Dependence::Autoregressive, ..Self::nsf_coupling() }
    }
    /// Real NVP: 6 affine couplings, log-scales within ±3, alternating masks. Published with batch
    /// normalisation ([`Norm::BatchNorm`]). Dinh et al. (2017), arXiv 1605.08803.
    pub fn real_nvp() -> Self {
        let map = UnivariateConfig::Affine { scale: AffineScale::Exp { bound: 3. } };
        Self { linear: LinearKind::None, ..Self::new(6, Dependence::Coupling, map) }
    }
    /// Masked autoregressive flow: 5 affine layers, the order of the features reversed between them,
    /// densities in one evaluation. Published with batch normalisation ([`Norm::BatchNorm`]).
    /// Papamakarios et al. (2017), arXiv 1705.07057.
    pub fn maf() -> Self {
        let map = UnivariateConfig::Affine { scale: AffineScale::Softplus };
        let maf = Self::new(5, Dependence::Autoregressive, map);
        Self { linear: LinearKind::Reverse, net: NetConfig::mlp(64, 1), ..maf }
    }
    /// Inverse autoregressive flow: the same with samples in one evaluation. Kingma et al. (2016),
    /// arXiv 1606.04934.
    pub fn iaf() -> Self {
        Self { fast: Fast::Sampling, ..Self::maf() }
    }
    /// NICE: 4 additive couplings with perceptrons and alternating masks, closed by one scale per
    /// feature. Dinh et al. (2014), arXiv 1410.8516, section 5.
    pub fn nice() -> Self {
        let nice = Self::new(4, Dependence::Coupling, UnivariateConfig::Additive);
        Self { linear: LinearKind::None, net: NetConfig::mlp(64, 2), ..nice }
    }

    /// The bijector on `dim` features with `context_dim` context features (0 for none).
    ///
    /// # Errors
    /// If there is no layer.
    pub fn bijector(&self, dim: usize, context_dim: usize) -> Result<BijectorConfig> {
        check_layers("layers", self.layers)?;
        let mut layers = vec![];
        for i in 0..self.layers {
            self.mix(dim, &mut layers);
            layers.push(self.layer(i, dim, context_dim));
            match self.norm {
                Norm::None => {}
                Norm::ActNorm => layers.push(BijectorConfig::ActNorm(ActNormConfig::new(dim))),
                Norm::BatchNorm => {
                    layers.push(BijectorConfig::BatchNorm(BatchNormConfig::new(dim)));
                }
            }
        }
        self.mix(dim, &mut layers);
        if self.map == UnivariateConfig::Additive {
            // Every layer preserves volume: the scale of the data is left to the end.
            layers.push(BijectorConfig::ActNorm(ActNormConfig::new(dim)));
        }
        let chain = BijectorConfig::Chain { layers };
        Ok(match self.fast {
            Fast::Density => BijectorConfig::Inverted { of: Box::new(chain) },
            Fast::Sampling => chain,
        })
    }

    fn mix(&self, dim: usize, layers: &mut Vec<BijectorConfig>) {
        let permutation = |order| PermutationConfig::new(dim).with_order(order);
        match self.linear {
            LinearKind::Permutation | LinearKind::Reverse if self.starts_at_identity => {}
            LinearKind::Permutation => {
                layers.push(BijectorConfig::Permutation(permutation(Order::Random)));
            }
            LinearKind::Lu => {
                if !self.starts_at_identity {
                    layers.push(BijectorConfig::Permutation(permutation(Order::Random)));
                }
                let lu = LuLinearConfig::new(dim).with_route(self.route);
                layers.push(BijectorConfig::LuLinear(lu));
            }
            LinearKind::Reverse => {
                layers.push(BijectorConfig::Permutation(permutation(Order::Reverse)));
            }
            LinearKind::None => {}
        }
    }

    fn layer(&self, i: usize, dim: usize, context_dim: usize) -> BijectorConfig {
        let (map, net) = (self.map.clone(), self.net.clone());
        match self.dependence {
            Dependence::Coupling => BijectorConfig::Coupling(
                CouplingConfig::new(dim, Mask::alternating(i))
                    .with_context(context_dim)
                    .with_map(map)
                    .with_net(net)
                    .with_start_at_identity(self.starts_at_identity)
                    .with_route(self.route),
            ),
            Dependence::Autoregressive => BijectorConfig::Autoregressive(
                AutoregressiveConfig::new(dim)
                    .with_context(context_dim)
                    .with_map(map)
                    .with_net(net)
                    .with_route(self.route),
            ),
        }
    }
}
