//! What a generator is made of, as a TOML file has it.
use crate::{Error, Result, write_atomically};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A trained generator: the layers in order, and where their weights are.
///
/// ```toml
/// weights = "generator.safetensors"       # from the folder of this file
/// inputs = 100
/// channels_last = true                    # rows are [H, W, C], as images are in files
///
/// [[layers]]
/// kind = "reshape"
/// shape = [100, 1, 1]
///
/// [[layers]]
/// kind = "conv_transpose"
/// tensors = "main.0"                      # main.0.weight, and main.0.bias unless bias = false
/// stride = 1
/// bias = false
///
/// [[layers]]
/// kind = "tanh"
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GeneratorConfig {
    /// The safetensors file with the weights; a relative path starts in the folder of the TOML file.
    pub weights: PathBuf,
    /// The number of inputs of the network, fixed ones included.
    pub inputs: usize,
    /// Whether images `[C, H, W]` end as `[H, W, C]`, the order in which files have them.
    #[serde(default)]
    pub channels_last: bool,
    /// The layers, from the inputs to the data.
    pub layers: Vec<GeneratorLayer>,
    /// Inputs that do not move, if some do not: what is left is a manifold of fewer dimensions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<FixedInputs>,
}

/// Which inputs of a generator move, and where the others stay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedInputs {
    /// The positions of the inputs that move, in the order of the coordinates.
    pub free: Vec<usize>,
    /// A value for every input; those of free inputs are not used.
    pub values: Vec<f64>,
}

/// One layer. Shapes leave out the batch. Names of tensors and layouts are PyTorch's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum GeneratorLayer {
    /// `x Wᵀ + b` of vectors, `weight: [out, in]`.
    Linear {
        /// What the names of its tensors start with.
        tensors: String,
        /// Whether there is a `bias: [out]`.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// The same numbers in another shape.
    Reshape {
        /// The shape.
        shape: Vec<usize>,
    },
    /// A transposed convolution of images, `weight: [in, out, k, k]`.
    ConvTranspose {
        /// What the names of its tensors start with.
        tensors: String,
        /// Pixels of the output from one pixel of the input to the next.
        stride: usize,
        /// Pixels that are cut off at each border.
        #[serde(default)]
        padding: usize,
        /// How many fewer of them at the lower and right borders; at most `padding`.
        #[serde(default)]
        output_padding: usize,
        /// Whether there is a `bias: [out]`.
        #[serde(default = "yes")]
        bias: bool,
    },
    /// Batch normalisation of images by its trained statistics, `running_mean` and `running_var`, with
    /// `weight` and `bias`, all of them `[C]`.
    BatchNorm {
        /// What the names of its tensors start with.
        tensors: String,
        /// What is added to the variance.
        #[serde(default = "eps")]
        eps: f64,
    },
    /// `max(x, 0)`.
    Relu,
    /// `x` where it is positive, else `slope x`.
    LeakyRelu {
        /// The slope of the negative half.
        slope: f64,
    },
    /// Hyperbolic tangent.
    Tanh,
    /// Logistic function.
    Sigmoid,
    /// The mean of each square of `factor` by `factor` pixels.
    Average {
        /// How many times fewer pixels a side has afterwards.
        factor: usize,
    },
    /// `factor x + shift`: from the range of the network to the units of the data.
    Scale {
        /// The factor.
        factor: f64,
        /// What is added.
        shift: f64,
    },
}

fn yes() -> bool {
    true
}

/// PyTorch's default.
fn eps() -> f64 {
    1e-5
}

impl GeneratorLayer {
    /// What a TOML file calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Linear { .. } => "linear",
            Self::Reshape { .. } => "reshape",
            Self::ConvTranspose { .. } => "conv_transpose",
            Self::BatchNorm { .. } => "batch_norm",
            Self::Relu => "relu",
            Self::LeakyRelu { .. } => "leaky_relu",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
            Self::Average { .. } => "average",
            Self::Scale { .. } => "scale",
        }
    }
}

impl GeneratorConfig {
    /// Layers with the weights of this file; no input is fixed, and images stay `[C, H, W]`.
    pub fn new(weights: impl Into<PathBuf>, inputs: usize, layers: Vec<GeneratorLayer>) -> Self {
        Self { weights: weights.into(), inputs, channels_last: false, layers, fixed: None }
    }

    /// With images as files have them, `[H, W, C]`.
    #[must_use]
    pub fn with_channels_last(self) -> Self {
        Self { channels_last: true, ..self }
    }

    /// The same images with `factor` times fewer pixels a side, each the mean of a square.
    #[must_use]
    pub fn averaged(mut self, factor: usize) -> Self {
        self.layers.push(GeneratorLayer::Average { factor });
        self
    }

    /// With these inputs free and the others fixed.
    #[must_use]
    pub fn with_fixed(self, fixed: FixedInputs) -> Self {
        Self { fixed: Some(fixed), ..self }
    }

    /// Read a TOML file. A relative path of the weights is made one from where the program runs.
    ///
    /// # Errors
    /// If the file cannot be read, or is no such config; the message has the line.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        let mut config: Self = toml::from_str(&text)
            .map_err(|e| Error::ModelFile { path: path.to_owned(), reason: e.to_string() })?;
        if let Some(folder) = path.parent() {
            config.weights = folder.join(&config.weights);
        }
        Ok(config)
    }

    /// Write a TOML file that [`GeneratorConfig::read`] reads; the path of the weights is written as it is.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = toml::to_string(self)
            .map_err(|e| Error::ModelFile { path: path.to_owned(), reason: e.to_string() })?;
        write_atomically(path, |file| file.write_all(text.as_bytes()))
    }
}
