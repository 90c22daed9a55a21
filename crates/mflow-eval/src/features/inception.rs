//! Inception-v3, a classifier of photographs, up to its last layer but one: the features of FID.
use super::conv::{Conv, Window, means};
use super::pooling::Pooling;
use super::resize::Filter;
use super::weights::Weights;
use super::{Features, ImageShape, check_columns};
use crate::statistics::Sample;
use crate::{Error, Result};
use mflow_train::Pool;
use std::path::Path;

/// Pixels of a side of what the network sees.
const SIDE: usize = 299;
/// Channels at the end.
const HEAD: usize = 2048;

const fn same(rows: usize, columns: usize) -> Window {
    Window { size: [rows, columns], stride: 1, padding: [rows / 2, columns / 2] }
}
const ONE: Window = Window::PIXEL;
/// Three by three pixels without padding, one or two apart.
const VALID: Window = Window { size: [3, 3], stride: 1, padding: [0, 0] };
const HALVED: Window = Window { stride: 2, ..VALID };

/// 2048 features of the network Inception-v3 (Szegedy et al. 2015, arXiv:1512.00567) with the weights of 2015 that were
/// trained to classify photographs (`ImageNet`): the means of its last activations over the image. Their name is
/// `inception-v3`. The Fréchet distance of these features, and of no others, is FID (Heusel et al. 2017,
/// arXiv:1706.08500).
///
/// They are those of the Python package pytorch-fid, which follows the TensorFlow network of the authors of FID. That is
/// not quite the published network, nor torchvision's: means of three by three pixels leave out what is beyond the edge,
/// and the last block takes the largest of them in the place of their mean.
///
/// An image becomes one of three channels and 299 x 299 pixels by bilinear interpolation without smoothing, also where
/// it becomes smaller, and is stretched where it is not square; its values become `2 v - 1` for `v` from 0, black, to 1,
/// white. It is computed on the CPU in f32, image by image.
#[derive(Debug)]
pub struct InceptionV3 {
    shape: ImageShape,
    blocks: Vec<Block>,
    pool: Pool,
}

impl InceptionV3 {
    /// The network with the weights of a file, for images of this shape, on so many threads; 0 means one per core.
    ///
    /// The file is `pt_inception-2015-12-05-6726825d.pth` (91 MB) of
    /// <https://github.com/mseitzer/pytorch-fid/releases/tag/fid_weights>, or a safetensors file with its tensors. What
    /// PyTorch 1.6 or later has written is not read; this makes a safetensors file of it:
    ///
    /// ```python
    /// import torch, safetensors.torch
    /// state = torch.load("weights.pth", map_location="cpu")
    /// safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, "weights.safetensors")
    /// ```
    ///
    /// # Errors
    /// If the file cannot be read or lacks weights, or if there are other than 1 or 3 channels, no pixels, or a range
    /// that is empty.
    pub fn load(weights: &Path, shape: ImageShape, threads: usize) -> Result<Self> {
        shape.check()?;
        let weights = Weights::read(weights)?;
        let (mut channels, mut blocks) = (3, vec![]);
        for (name, branches) in plan() {
            let block = Block::read(&weights, name, channels, branches)?;
            channels = block.channels;
            blocks.push(block);
        }
        let pool = Pool::new(threads)
            .map_err(|error| Error::Threads { threads, reason: error.to_string() })?;
        Ok(Self { shape, blocks, pool })
    }

    /// The features of one image.
    fn features(&self, row: &[f64]) -> Result<Vec<f64>> {
        let x = self.shape.seen(row, SIDE, Filter::Interpolated, |v| 2. * v - 1.);
        let (mut x, mut side) = (x, SIDE);
        for block in &self.blocks {
            (x, side) = block.apply(&x, side)?;
        }
        Ok(means(&x, side))
    }
}

impl Features for InceptionV3 {
    fn name(&self) -> &'static str {
        "inception-v3"
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

/// What a branch begins with.
#[derive(Clone, Copy, Debug)]
enum Start {
    Plain,
    Around(Pooling),
    Halved,
}

/// The name of a convolution, the channels that it makes, and what it sees.
type Layer = (&'static str, usize, Window);

/// Convolutions one after the other, then some beside each other.
struct Plan {
    start: Start,
    layers: Vec<Layer>,
    ends: Vec<Layer>,
}

fn chain(layers: &[Layer]) -> Plan {
    Plan { start: Start::Plain, layers: layers.to_vec(), ends: vec![] }
}

fn pooled(start: Start, layers: &[Layer]) -> Plan {
    Plan { start, ..chain(layers) }
}

/// Of each block its name and its branches.
fn plan() -> Vec<(&'static str, Vec<Plan>)> {
    let stem = [
        ("Conv2d_1a_3x3", 32, HALVED),
        ("Conv2d_2a_3x3", 32, VALID),
        ("Conv2d_2b_3x3", 64, same(3, 3)),
    ];
    let second = [("Conv2d_3b_1x1", 80, ONE), ("Conv2d_4a_3x3", 192, VALID)];
    vec![
        ("", vec![chain(&stem)]),
        ("", vec![pooled(Start::Halved, &second)]),
        ("", vec![pooled(Start::Halved, &[])]),
        ("Mixed_5b", large(32)),
        ("Mixed_5c", large(64)),
        ("Mixed_5d", large(64)),
        ("Mixed_6a", to_medium()),
        ("Mixed_6b", medium(128)),
        ("Mixed_6c", medium(160)),
        ("Mixed_6d", medium(160)),
        ("Mixed_6e", medium(192)),
        ("Mixed_7a", to_small()),
        ("Mixed_7b", small(Pooling::Mean)),
        ("Mixed_7c", small(Pooling::Max)),
    ]
}

/// Of images of 35 pixels a side.
fn large(pool: usize) -> Vec<Plan> {
    let (three, five) = (same(3, 3), same(5, 5));
    let double =
        [("branch3x3dbl_1", 64, ONE), ("branch3x3dbl_2", 96, three), ("branch3x3dbl_3", 96, three)];
    vec![
        chain(&[("branch1x1", 64, ONE)]),
        chain(&[("branch5x5_1", 48, ONE), ("branch5x5_2", 64, five)]),
        chain(&double),
        pooled(Start::Around(Pooling::Mean), &[("branch_pool", pool, ONE)]),
    ]
}

/// From 35 pixels a side to 17.
fn to_medium() -> Vec<Plan> {
    let double = [
        ("branch3x3dbl_1", 64, ONE),
        ("branch3x3dbl_2", 96, same(3, 3)),
        ("branch3x3dbl_3", 96, HALVED),
    ];
    vec![chain(&[("branch3x3", 384, HALVED)]), chain(&double), pooled(Start::Halved, &[])]
}

/// Of images of 17 pixels a side.
fn medium(inner: usize) -> Vec<Plan> {
    let (row, column) = (same(1, 7), same(7, 1));
    let single =
        [("branch7x7_1", inner, ONE), ("branch7x7_2", inner, row), ("branch7x7_3", 192, column)];
    let double = [
        ("branch7x7dbl_1", inner, ONE),
        ("branch7x7dbl_2", inner, column),
        ("branch7x7dbl_3", inner, row),
        ("branch7x7dbl_4", inner, column),
        ("branch7x7dbl_5", 192, row),
    ];
    vec![
        chain(&[("branch1x1", 192, ONE)]),
        chain(&single),
        chain(&double),
        pooled(Start::Around(Pooling::Mean), &[("branch_pool", 192, ONE)]),
    ]
}

/// From 17 pixels a side to 8.
fn to_small() -> Vec<Plan> {
    let seven = [
        ("branch7x7x3_1", 192, ONE),
        ("branch7x7x3_2", 192, same(1, 7)),
        ("branch7x7x3_3", 192, same(7, 1)),
        ("branch7x7x3_4", 192, HALVED),
    ];
    let three = [("branch3x3_1", 192, ONE), ("branch3x3_2", 320, HALVED)];
    vec![chain(&three), chain(&seven), pooled(Start::Halved, &[])]
}

/// Of images of 8 pixels a side.
fn small(pooling: Pooling) -> Vec<Plan> {
    let (row, column) = (same(1, 3), same(3, 1));
    let single = Plan {
        ends: vec![("branch3x3_2a", 384, row), ("branch3x3_2b", 384, column)],
        ..chain(&[("branch3x3_1", 384, ONE)])
    };
    let double = Plan {
        ends: vec![("branch3x3dbl_3a", 384, row), ("branch3x3dbl_3b", 384, column)],
        ..chain(&[("branch3x3dbl_1", 448, ONE), ("branch3x3dbl_2", 384, same(3, 3))])
    };
    vec![
        chain(&[("branch1x1", 320, ONE)]),
        single,
        double,
        pooled(Start::Around(pooling), &[("branch_pool", 192, ONE)]),
    ]
}

/// Branches that see the same image, and whose channels follow each other.
#[derive(Debug)]
struct Block {
    branches: Vec<Branch>,
    channels: usize,
}

#[derive(Debug)]
struct Branch {
    start: Start,
    layers: Vec<Conv>,
    ends: Vec<Conv>,
}

impl Block {
    fn read(weights: &Weights, name: &str, channels: usize, plans: Vec<Plan>) -> Result<Self> {
        let read = |(layer, out, window): Layer, channels| {
            let prefix = if name.is_empty() { layer.to_owned() } else { format!("{name}.{layer}") };
            let (conv, norm) = (format!("{prefix}.conv"), format!("{prefix}.bn"));
            Conv::read(weights, &conv, &norm, [out, channels], window)
        };
        let (mut branches, mut made) = (vec![], 0);
        for Plan { start, layers, ends } in plans {
            let mut inner = channels;
            let mut chain = vec![];
            for layer in layers {
                chain.push(read(layer, inner)?);
                inner = layer.1;
            }
            made += if ends.is_empty() { inner } else { ends.iter().map(|end| end.1).sum() };
            let ends = ends.into_iter().map(|end| read(end, inner)).collect::<Result<_>>()?;
            branches.push(Branch { start, layers: chain, ends });
        }
        Ok(Self { branches, channels: made })
    }

    /// `x: [channels, side, side]`, and the side of what comes out.
    fn apply(&self, x: &[f32], side: usize) -> Result<(Vec<f32>, usize)> {
        let (mut all, mut new) = (vec![], side);
        for branch in &self.branches {
            let out;
            (out, new) = branch.apply(x, side)?;
            all.extend(out);
        }
        Ok((all, new))
    }
}

impl Branch {
    fn apply(&self, x: &[f32], side: usize) -> Result<(Vec<f32>, usize)> {
        let (mut x, mut side) = match self.start {
            Start::Plain => (x.to_vec(), side),
            Start::Around(pooling) => pooling.around(x, side),
            Start::Halved => Pooling::Max.halved(x, side),
        };
        for layer in &self.layers {
            (x, side) = activated(layer, x, side)?;
        }
        if self.ends.is_empty() {
            return Ok((x, side));
        }
        let ends = self.ends.iter().map(|end| Ok(activated(end, x.clone(), side)?.0));
        Ok((ends.collect::<Result<Vec<_>>>()?.concat(), side))
    }
}

fn activated(layer: &Conv, x: Vec<f32>, side: usize) -> Result<(Vec<f32>, usize)> {
    layer.apply(x, side, |v| v.max(0.))
}
