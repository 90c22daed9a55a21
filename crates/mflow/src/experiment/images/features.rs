//! The features in which samples of images are compared, by their names in a config.
use super::data::ImageData;
use super::{BLACK, WHITE};
use crate::experiment::EvaluationConfig;
use crate::{Error, Result};
use mflow_eval::features::{
    EfficientNetLite0, Features, ImageShape, InceptionV3, PcaFeatures, RawFeatures,
};
use mflow_eval::statistics::Sample;
use std::path::Path;

/// A name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Raw,
    Pca(usize),
    Of(Network),
}

/// A network, which needs weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Network {
    EfficientNetLite0,
    InceptionV3,
}

fn refuse<T>(field: &'static str, reason: String) -> Result<T> {
    Err(Error::Config { field, reason })
}

impl Network {
    const ALL: [Self; 2] = [Self::EfficientNetLite0, Self::InceptionV3];

    fn name(self) -> &'static str {
        match self {
            Self::EfficientNetLite0 => "efficientnet-lite0",
            Self::InceptionV3 => "inception-v3",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|network| network.name() == name)
    }

    /// Where its weights come from.
    fn source(self) -> &'static str {
        match self {
            Self::EfficientNetLite0 => "`cargo xtask data features` fetches them",
            Self::InceptionV3 => {
                "those of FID are pt_inception-2015-12-05-6726825d.pth of the package pytorch-fid, \
                 from https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights"
            }
        }
    }

    /// The file of its weights, if there is one.
    fn weights(self, config: &EvaluationConfig) -> Result<&Path> {
        let (name, source) = (self.name(), self.source());
        let reason = match config.feature_weights.get(name) {
            Some(path) if path.is_file() => return Ok(path),
            Some(path) => format!(
                "names {} for `{name}`, which is not there; its weights: {source}",
                path.display()
            ),
            None => format!("must name a file for `{name}`, which needs weights: {source}"),
        };
        refuse("evaluation.feature_weights", reason)
    }

    fn load(self, weights: &Path, shape: ImageShape, threads: usize) -> Result<Box<dyn Features>> {
        Ok(match self {
            Self::EfficientNetLite0 => Box::new(EfficientNetLite0::load(weights, shape, threads)?),
            Self::InceptionV3 => Box::new(InceptionV3::load(weights, shape, threads)?),
        })
    }
}

impl Named {
    pub(super) fn parse(name: &str) -> Result<Self> {
        match (name, name.strip_prefix("pca-").map(str::parse), Network::named(name)) {
            ("raw", ..) => Ok(Self::Raw),
            (_, Some(Ok(axes)), _) => Ok(Self::Pca(axes)),
            (.., Some(network)) => Ok(Self::Of(network)),
            _ => {
                let [first, second] = Network::ALL.map(Network::name);
                let reason =
                    format!("must be of `raw`, `pca-K`, `{first}` and `{second}`, found `{name}`");
                refuse("evaluation.features", reason)
            }
        }
    }

    pub(super) fn features(
        self,
        config: &EvaluationConfig,
        data: &ImageData,
        threads: usize,
    ) -> Result<Box<dyn Features>> {
        let [height, width, channels] = data.shape;
        Ok(match self {
            Self::Raw => Box::new(RawFeatures { pixels: data.dim() }),
            Self::Pca(axes) => {
                Box::new(PcaFeatures::fit(Sample::new(&data.train, data.dim())?, axes)?)
            }
            Self::Of(network) => {
                let shape = ImageShape { height, width, channels, range: [BLACK, WHITE] };
                network.load(network.weights(config)?, shape, threads)?
            }
        })
    }
}

impl EvaluationConfig {
    /// Refuse features that are not there: told before the training, not after.
    pub(in crate::experiment) fn check_features(&self) -> Result<()> {
        if let Some(name) = self.feature_weights.keys().find(|name| Network::named(name).is_none())
        {
            let names = Network::ALL.map(Network::name).join("` and `");
            let reason = format!("must be files by the names `{names}`, found `{name}`");
            return refuse("evaluation.feature_weights", reason);
        }
        for name in &self.features {
            if let Named::Of(network) = Named::parse(name)? {
                // Any shape will do: the weights are read, so that a file that has none is told now.
                let shape = ImageShape { height: 1, width: 1, channels: 1, range: [BLACK, WHITE] };
                network.load(network.weights(self)?, shape, 1)?;
            }
        }
        Ok(())
    }
}
