//! [`NetworkConfig`]: an encoder or decoder as it is written in a model's config.
use mflow_bijectors::{Activation, NetConfig};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A network between data and coordinates. In a file the kind `image` names the one of images; all other tables are
/// networks of vectors, whose kind is `residual` or `mlp`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum NetworkConfig {
    /// Of vectors.
    Vector(NetConfig),
    /// Of images.
    Image(ImageNetConfig),
}

/// A convolutional network of images as rows of numbers, in the order height, width, channels: an encoder where its inputs
/// are images, a decoder where its outputs are.
///
/// An encoder halves the sides `levels` times. Each level has a residual network of 3x3 convolutions
/// ([`mflow_bijectors::Net`]), of twice as many channels as the one before; one hidden layer follows, which sees
/// all that is left of the image. A decoder is the same backwards. Both are smooth where the activation is, so that
/// the density that a decoder pushes forward is exact as everywhere.
///
/// The published encoder of images (Brehmer & Cranmer 2020, arXiv 2003.13913, section 4.3) is of this kind, with four
/// levels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, tag = "kind", rename = "image")]
#[non_exhaustive]
pub struct ImageNetConfig {
    /// Shape `[H, W, C]` of the images; height and width are multiples of `2^levels`.
    pub shape: Vec<usize>,
    /// Number of levels.
    #[serde(default = "two")]
    pub levels: usize,
    /// Channels of the first level.
    #[serde(default = "channels")]
    pub channels: usize,
    /// Residual blocks in each level.
    #[serde(default = "one")]
    pub blocks: usize,
    /// Units of the hidden layer between the last level and the coordinates: several times as many as these. About half of the
    /// units are close to 0 for each image, and the codes of too few of them fill fewer dimensions than they have.
    #[serde(default = "hidden")]
    pub hidden: usize,
    /// Activation function.
    #[serde(default = "smooth")]
    pub activation: Activation,
    /// Probability that a hidden number is dropped while training.
    #[serde(default)]
    pub dropout: f64,
}

fn one() -> usize {
    1
}
fn two() -> usize {
    2
}
fn channels() -> usize {
    32
}
fn hidden() -> usize {
    128
}
fn smooth() -> Activation {
    Activation::Silu
}

impl ImageNetConfig {
    /// 2 levels of 32 and 64 channels with a block each, a hidden layer of 128 units, SiLU.
    pub fn new(shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            levels: two(),
            channels: channels(),
            blocks: one(),
            hidden: hidden(),
            activation: smooth(),
            dropout: 0.,
        }
    }
    /// With another number of levels, of channels in the first of them, and of blocks in each.
    #[must_use]
    pub fn with_size(self, levels: usize, channels: usize, blocks: usize) -> Self {
        Self { levels, channels, blocks, ..self }
    }
    /// With so many units in the hidden layer.
    #[must_use]
    pub fn with_hidden(self, hidden: usize) -> Self {
        Self { hidden, ..self }
    }
    /// With another activation function.
    #[must_use]
    pub fn with_activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }
}

impl From<NetConfig> for NetworkConfig {
    fn from(config: NetConfig) -> Self {
        Self::Vector(config)
    }
}
impl From<ImageNetConfig> for NetworkConfig {
    fn from(config: ImageNetConfig) -> Self {
        Self::Image(config)
    }
}

impl NetworkConfig {
    /// The shape `[H, W, C]` of images, if it is one of images.
    pub fn image(&self) -> Option<&[usize]> {
        match self {
            Self::Vector(_) => None,
            Self::Image(config) => Some(&config.shape),
        }
    }
    /// Units of its hidden layers; of a network of images, of that between the levels and the coordinates.
    pub(crate) fn hidden(&self) -> usize {
        match self {
            Self::Vector(config) => config.hidden,
            Self::Image(config) => config.hidden,
        }
    }
}

impl<'de> Deserialize<'de> for NetworkConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        match value.get("kind").and_then(Value::as_str) {
            Some("image") => {
                if let Some(fields) = value.as_object_mut() {
                    fields.remove("kind");
                }
                serde_json::from_value(value).map(Self::Image)
            }
            _ => serde_json::from_value(value).map(Self::Vector),
        }
        .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_is_read_by_its_kind_and_written_as_it_was() {
        let parse = |value| serde_json::from_value::<NetworkConfig>(value);
        let of_vectors = parse(json!({ "hidden": 8 })).unwrap();
        assert_eq!(of_vectors, NetConfig::new(8, 2).into());
        let of_images = ImageNetConfig::new(&[8, 8, 3]).with_size(1, 4, 2);
        let table =
            json!({ "kind": "image", "shape": [8, 8, 3], "levels": 1, "channels": 4, "blocks": 2 });
        assert_eq!(parse(table).unwrap(), of_images.clone().into());
        for config in [of_vectors, of_images.into()] {
            let written = serde_json::to_value(&config).unwrap();
            assert_eq!(parse(written).unwrap(), config);
        }
        let error = parse(json!({ "kind": "image", "width": 8 })).unwrap_err().to_string();
        assert!(error.contains("width"), "{error}");
    }
}
