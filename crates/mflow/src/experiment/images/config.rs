//! Which images an experiment is about, as it is written in a file.
use mflow_data::Scenes;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Images of `.npy` files, `[n, H, W, C]` or `[n, H, W]`, of idx files, or of folders of PNG and JPEG files, with numbers
/// from 0, black, to 255, white. Relative paths start where the program was started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagesConfig {
    /// To train on, validation included.
    pub train: PathBuf,
    /// To measure the model by.
    pub test: PathBuf,
    /// So many of the former, from the first; none means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<usize>,
    /// Whether training images get uniform noise between the steps of their bytes, so that they have a density; see
    /// [`mflow_data::pixels::dequantise`].
    #[serde(default = "yes")]
    pub dequantize: bool,
    /// The parameters that images depend on, if there are some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ImageContexts>,
    /// The generator that they are from, a TOML file beside its weights, by which distances from the true manifold are
    /// measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<PathBuf>,
    /// The free inputs that this generator made the test images of, `[n, N]`: the distances of these images need no search then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latents: Option<PathBuf>,
}

/// Images that are drawn of scenes whose factors are known, [`mflow_data::Scenes`]: real numbers on the manifold, without noise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenesConfig {
    /// Free factors, the dimension of the manifold: 1 to 64.
    pub factors: usize,
    /// Pixels a side, 16 to 64.
    #[serde(default = "smallest")]
    pub size: usize,
    /// 1 for grey, 3 for colour.
    #[serde(default = "one")]
    pub channels: usize,
    /// Images to train on, validation included.
    pub rows: usize,
}

fn smallest() -> usize {
    Scenes::SIZE
}
fn one() -> usize {
    1
}
fn yes() -> bool {
    true
}

/// One parameter of each image, with a standard normal prior.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageContexts {
    /// Those of the training images, `[n, 1]`.
    pub train: PathBuf,
    /// Those of the test images, `[n, 1]`.
    pub test: PathBuf,
    /// Images that share a parameter, from which it is to be inferred.
    pub observed: PathBuf,
    /// That parameter.
    pub truth: f64,
    /// How many of these images are observed.
    #[serde(default = "fifty")]
    pub count: usize,
    /// The log-density at the truth of the exact posterior of so many images, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<f64>,
}

/// As published.
fn fifty() -> usize {
    50
}
