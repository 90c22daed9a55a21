//! The features in which samples of images are compared, by their names in a config.
use super::data::ImageData;
use super::{BLACK, WHITE};
use crate::experiment::EvaluationConfig;
use crate::{Error, Result};
use mflow_eval::features::{EfficientNetLite0, Features, ImageShape, PcaFeatures, RawFeatures};
use mflow_eval::statistics::Sample;

/// A name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Raw,
    Pca(usize),
    EfficientNetLite0,
}

fn refuse<T>(field: &'static str, reason: String) -> Result<T> {
    Err(Error::Config { field, reason })
}

impl Named {
    pub(super) fn parse(name: &str) -> Result<Self> {
        match (name, name.strip_prefix("pca-").map(str::parse)) {
            ("raw", _) => Ok(Self::Raw),
            ("efficientnet-lite0", _) => Ok(Self::EfficientNetLite0),
            (_, Some(Ok(axes))) => Ok(Self::Pca(axes)),
            _ => refuse(
                "evaluation.features",
                format!("must be of `raw`, `pca-K` and `efficientnet-lite0`, found `{name}`"),
            ),
        }
    }

    pub(super) fn features(
        self,
        config: &EvaluationConfig,
        data: &ImageData,
    ) -> Result<Box<dyn Features>> {
        let [height, width, channels] = data.shape;
        Ok(match (self, &config.feature_weights) {
            (Self::Raw, _) => Box::new(RawFeatures { pixels: data.dim() }),
            (Self::Pca(axes), _) => {
                Box::new(PcaFeatures::fit(Sample::new(&data.train, data.dim())?, axes)?)
            }
            (Self::EfficientNetLite0, Some(weights)) => {
                let shape = ImageShape { height, width, channels, range: [BLACK, WHITE] };
                Box::new(EfficientNetLite0::load(weights, shape, 1)?)
            }
            (Self::EfficientNetLite0, None) => return no_weights(),
        })
    }
}

fn no_weights<T>() -> Result<T> {
    let reason = "is missing: `efficientnet-lite0` needs its weights, which `cargo xtask data features` fetches";
    refuse("evaluation.feature_weights", reason.to_owned())
}

impl EvaluationConfig {
    /// Refuse features that are not there: told before the training, not after.
    pub(in crate::experiment) fn check_features(&self) -> Result<()> {
        for name in &self.features {
            if Named::parse(name)? != Named::EfficientNetLite0 {
                continue;
            }
            match &self.feature_weights {
                None => return no_weights(),
                Some(path) if !path.is_file() => {
                    let reason = format!(
                        "names {}, which is not there; `cargo xtask data features` fetches the weights",
                        path.display()
                    );
                    return refuse("evaluation.feature_weights", reason);
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}
