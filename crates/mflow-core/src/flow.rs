//! [`VectorFlowConfig`]: a flow of vectors as it is written in a model's config.
use mflow_bijectors::{
    AngleShiftConfig, BijectorConfig, CircularCouplingConfig, ElementwiseConfig, FlowConfig,
    ImageFlowConfig, LinearKind, Mask, NetConfig, Norm, SplineFlowConfig, UnivariateConfig,
};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

/// Any flow of vectors that a model can be made of. In a file `kind` names it; a table without a kind
/// is a `spline`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum VectorFlowConfig {
    /// The neural spline flow of the published experiments.
    Spline(SplineFlowConfig),
    /// Any stack of equal layers, such as affine couplings.
    Layers(FlowConfig),
    /// Circular splines of angles, each followed by a rotation: element by element, or by couplings.
    /// Rezende et al. (2020), arXiv 2002.02428, section 2.1 and 2.2.
    Circular(CircularFlowConfig),
    /// The flow of images of the published experiments.
    Image(ImageFlowConfig),
    /// Any bijector, written out.
    Custom(CustomFlowConfig),
}

/// Layers of a circular flow, at most, as of others.
const MOST_LAYERS: usize = 1 << 12;

/// Config of [`VectorFlowConfig::Circular`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct CircularFlowConfig {
    /// Number of splines.
    pub layers: usize,
    /// Bins of each.
    pub bins: usize,
    /// The conditioners of couplings, through which angles depend on each other and on the context:
    /// of each layer one for a spline and one for a rotation, with alternating masks. Without it all
    /// angles move in every layer, each by itself, and there can be no context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net: Option<NetConfig>,
}

impl Default for CircularFlowConfig {
    /// 3 splines of 10 bins, element by element.
    fn default() -> Self {
        Self { layers: 3, bins: 10, net: None }
    }
}

impl CircularFlowConfig {
    /// 4 couplings of 10 bins with these conditioners.
    pub fn coupled(net: NetConfig) -> Self {
        Self { layers: 4, bins: 10, net: Some(net) }
    }

    /// The layers, of which the first is that of the latents.
    fn layers(&self, dim: usize, context_dim: usize) -> Vec<BijectorConfig> {
        let coupling = |i: usize, net: &NetConfig| {
            CircularCouplingConfig::new(dim, Mask::alternating(i), self.bins)
                .with_context(context_dim)
                .with_net(net.clone())
        };
        let layer = |i: usize| match &self.net {
            Some(net) => [
                BijectorConfig::CircularCoupling(coupling(i, net)),
                BijectorConfig::CircularCoupling(
                    coupling(i, net).with_map(UnivariateConfig::Additive),
                ),
            ],
            None => {
                let map = UnivariateConfig::CircularRationalQuadratic { bins: self.bins };
                [
                    BijectorConfig::Elementwise(ElementwiseConfig::new(&[dim], map)),
                    BijectorConfig::AngleShift(AngleShiftConfig::new(dim)),
                ]
            }
        };
        (0..self.layers).flat_map(layer).collect()
    }
}

/// Config of [`VectorFlowConfig::Custom`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CustomFlowConfig {
    /// The bijector.
    pub bijector: BijectorConfig,
}

impl CustomFlowConfig {
    /// This bijector.
    pub fn new(bijector: BijectorConfig) -> Self {
        Self { bijector }
    }
}

impl Default for VectorFlowConfig {
    /// The published spline flow, with trained linear maps in the place of permutations: `f` can then turn the
    /// manifold to face the data whatever permutations the seed would draw, and `h` finds coordinates of any
    /// scale, whereas splines are the identity outside of their box.
    fn default() -> Self {
        let mut flow = SplineFlowConfig::default();
        flow.linear = LinearKind::Lu;
        Self::Spline(flow)
    }
}

impl From<SplineFlowConfig> for VectorFlowConfig {
    fn from(config: SplineFlowConfig) -> Self {
        Self::Spline(config)
    }
}
impl From<CircularFlowConfig> for VectorFlowConfig {
    fn from(config: CircularFlowConfig) -> Self {
        Self::Circular(config)
    }
}
impl From<ImageFlowConfig> for VectorFlowConfig {
    fn from(config: ImageFlowConfig) -> Self {
        Self::Image(config)
    }
}
impl From<FlowConfig> for VectorFlowConfig {
    fn from(config: FlowConfig) -> Self {
        Self::Layers(config)
    }
}
impl From<BijectorConfig> for VectorFlowConfig {
    fn from(bijector: BijectorConfig) -> Self {
        Self::Custom(CustomFlowConfig { bijector })
    }
}

impl<'de> Deserialize<'de> for VectorFlowConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        let Some(fields) = value.as_object_mut() else {
            return Err(D::Error::custom(format!("expected a flow, a table, found {value}")));
        };
        let kind = fields.remove("kind").unwrap_or_else(|| "spline".into());
        let parsed = match kind.as_str() {
            Some("spline") => {
                // As in the default flow.
                fields.entry("linear").or_insert_with(|| json!(LinearKind::Lu));
                serde_json::from_value(value).map(Self::Spline)
            }
            Some("layers") => serde_json::from_value(value).map(Self::Layers),
            Some("circular") => serde_json::from_value(value).map(Self::Circular),
            Some("image") => serde_json::from_value(value).map(Self::Image),
            Some("custom") => serde_json::from_value(value).map(Self::Custom),
            _ => {
                return Err(D::Error::custom(format!(
                    "expected a kind of flow, `spline`, `layers`, `circular`, `image` or `custom`, found {kind}"
                )));
            }
        };
        parsed.map_err(D::Error::custom)
    }
}

impl VectorFlowConfig {
    /// Let the flow start as the identity exactly, if its kind is `spline` or `layers`; others have no such choice.
    pub(crate) fn start_as_identity(&mut self) {
        match self {
            Self::Spline(config) => config.starts_at_identity = true,
            Self::Layers(config) => config.starts_at_identity = true,
            Self::Circular(_) | Self::Image(_) | Self::Custom(_) => {}
        }
    }

    /// The shape `[H, W, C]` of images, if it is a flow of images.
    pub(crate) fn image(&self) -> Option<&[usize]> {
        match self {
            Self::Image(config) => Some(&config.shape),
            _ => None,
        }
    }

    /// The bijector on `dim` features with `context_dim` context features (0 for none).
    ///
    /// # Errors
    /// If a number is out of range, or the flow cannot do what is asked: circular splines element by
    /// element know no context, and batch normalisation cannot be trained here, as batches are cut into shards.
    pub fn bijector(&self, dim: usize, context_dim: usize) -> crate::Result<BijectorConfig> {
        let refuse =
            |field: &str, reason: &str| Err(mflow_bijectors::Error::config(field, reason).into());
        match self {
            Self::Spline(config) => Ok(config.bijector(dim, context_dim)?),
            Self::Layers(config) if config.norm == Norm::BatchNorm => refuse(
                "norm",
                "must be `none` or `act_norm` in a model: batches are cut into shards, which batch \
                 statistics do not survive; found `batch_norm`",
            ),
            Self::Layers(config) => Ok(config.bijector(dim, context_dim)?),
            Self::Circular(config) if context_dim > 0 && config.net.is_none() => refuse(
                "net",
                "must be there with a context, which splines element by element do not see; found none",
            ),
            Self::Circular(config) if config.layers == 0 => {
                refuse("layers", "must be positive, found 0")
            }
            Self::Circular(config) if config.layers > MOST_LAYERS => {
                refuse("layers", &format!("must be at most {MOST_LAYERS}, found {}", config.layers))
            }
            Self::Circular(config) => {
                Ok(BijectorConfig::Chain { layers: config.layers(dim, context_dim) })
            }
            Self::Image(config) if config.dim() != dim => refuse(
                "shape",
                &format!("must be that of rows of {dim} features, found {:?}", config.shape),
            ),
            Self::Image(config) => Ok(config.bijector(context_dim)?),
            Self::Custom(config) => Ok(config.bijector.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::VectorFlowConfig;
    use mflow_bijectors::{LinearKind, SplineFlowConfig};
    use serde_json::json;

    #[test]
    fn a_table_changes_the_default_flow_and_no_more() {
        let parse = |value| serde_json::from_value::<VectorFlowConfig>(value).unwrap();
        assert_eq!(parse(json!({})), VectorFlowConfig::default());
        let mut flow = SplineFlowConfig::default();
        (flow.linear, flow.hidden) = (LinearKind::Lu, 32);
        assert_eq!(parse(json!({ "hidden": 32 })), flow.clone().into());
        flow.linear = LinearKind::Permutation;
        assert_eq!(parse(json!({ "linear": "permutation", "hidden": 32 })), flow.clone().into());
        // What is written is read back.
        let written = serde_json::to_value(VectorFlowConfig::from(flow.clone())).unwrap();
        assert_eq!(parse(written), flow.into());
    }
}
