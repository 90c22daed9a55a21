//! Layers of a generator with their weights.
use super::config::GeneratorLayer;
use super::transposed::Transposed;
use crate::{Error, Result};
use candle_core::{D, DType, Device, Tensor};
use mflow_bijectors::{Diff, host};
use std::collections::BTreeMap;

/// A layer at work.
#[derive(Clone, Debug)]
pub(super) enum Layer {
    /// By a matrix `[in, out]`.
    Linear(Tensor),
    Reshape(Vec<usize>),
    ConvTranspose(Transposed),
    /// Add numbers that broadcast over the event axes.
    Add(Tensor),
    /// Multiply by numbers `[C, 1, 1]`.
    Multiply(Tensor),
    Relu,
    LeakyRelu(f64),
    Tanh,
    Sigmoid,
    Average(usize),
    Scale {
        factor: f64,
        shift: f64,
    },
    ChannelsLast,
}

/// Layers in the making: what is left of the tensors, and the shape so far.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    pub(super) tensors: BTreeMap<String, Tensor>,
    pub(super) dtype: DType,
    pub(super) device: &'a Device,
    pub(super) shape: Vec<usize>,
    pub(super) layers: Vec<Layer>,
    /// The most numbers that are in memory for one row at a time.
    pub(super) work: usize,
}

/// Pixels from one to the next, at most: far more than generators have, and few enough that the matrix fits into memory.
const MOST_STRIDE: usize = 32;

/// Numbers that a layer may hold for one row.
pub(super) const MOST_WORK: usize = 1 << 32;

/// The layer at work, for messages.
#[derive(Clone, Copy)]
struct Place {
    layer: usize,
    kind: &'static str,
}

impl Place {
    fn refuse<T>(
        self,
        what: impl Into<Box<str>>,
        expected: impl Into<Box<str>>,
        found: impl Into<Box<str>>,
    ) -> Result<T> {
        let Self { layer, kind } = self;
        let (what, expected, found) = (what.into(), expected.into(), found.into());
        Err(Error::GeneratorLayer { layer, kind, what, expected, found })
    }
}

/// Numbers of a shape; the largest number where there are more.
fn numbers(shape: &[usize]) -> usize {
    shape.iter().fold(1, |n: usize, d| n.saturating_mul(*d))
}

impl Builder<'_> {
    /// Put the layer with this position behind those that are there.
    #[expect(
        clippy::integer_division_remainder_used,
        reason = "the factor is compared with 0 first"
    )]
    pub(super) fn push(&mut self, layer: usize, config: &GeneratorLayer) -> Result<()> {
        let at = Place { layer, kind: config.name() };
        match config {
            GeneratorLayer::Linear { tensors, bias } => {
                let [inputs] = self.shape[..] else {
                    return at.refuse("input", "a vector", format!("{:?}", self.shape));
                };
                let weight = self.take(at, &format!("{tensors}.weight"), &[None, Some(inputs)])?;
                let outputs = weight.dim(0)?;
                self.layers.push(Layer::Linear(weight.t()?.contiguous()?));
                if *bias {
                    let name = format!("{tensors}.bias");
                    let bias = self.take(at, &name, &[Some(outputs)])?;
                    self.layers.push(Layer::Add(bias));
                }
                self.shape = vec![outputs];
            }
            GeneratorLayer::Reshape { shape } => {
                let [from, to] = [&self.shape, shape].map(|shape| numbers(shape));
                if from != to || from == usize::MAX {
                    let found = format!("{from} of shape {:?}", self.shape);
                    return at.refuse("input", format!("{to} numbers for {shape:?}"), found);
                }
                self.layers.push(Layer::Reshape(shape.clone()));
                self.shape.clone_from(shape);
            }
            GeneratorLayer::ConvTranspose { .. } => self.push_transposed(at, config)?,
            GeneratorLayer::BatchNorm { tensors, eps } => {
                let [channels, ..] = self.images(at)?;
                let mut take = |name: &str| {
                    self.take_as(at, &format!("{tensors}.{name}"), &[Some(channels)], DType::F64)
                };
                let (mean, variance) = (take("running_mean")?, take("running_var")?);
                let (weight, bias) = (take("weight")?, take("bias")?);
                // In double precision, once: the layer is then one product and one sum.
                let factor = (weight / (variance + *eps)?.sqrt()?)?;
                let shift = (bias - (&factor * mean)?)?;
                for (t, layer) in [
                    (factor, Layer::Multiply as fn(Tensor) -> Layer),
                    (shift, Layer::Add as fn(Tensor) -> Layer),
                ] {
                    let t = host::place(&t.reshape((channels, 1, 1))?, self.dtype, self.device)?;
                    self.layers.push(layer(t));
                }
            }
            GeneratorLayer::Relu => self.layers.push(Layer::Relu),
            GeneratorLayer::LeakyRelu { slope } => self.layers.push(Layer::LeakyRelu(*slope)),
            GeneratorLayer::Tanh => self.layers.push(Layer::Tanh),
            GeneratorLayer::Sigmoid => self.layers.push(Layer::Sigmoid),
            GeneratorLayer::Average { factor } => {
                let [c, h, w] = self.images(at)?;
                if *factor == 0 || h % factor != 0 || w % factor != 0 {
                    let expected = format!("a divisor of {h} and {w}");
                    return at.refuse("factor", expected, factor.to_string());
                }
                self.layers.push(Layer::Average(*factor));
                self.shape = vec![c, h / factor, w / factor];
            }
            GeneratorLayer::Scale { factor, shift } => {
                self.layers.push(Layer::Scale { factor: *factor, shift: *shift });
            }
        }
        self.work = self.work.max(numbers(&self.shape));
        Ok(())
    }

    fn push_transposed(&mut self, at: Place, config: &GeneratorLayer) -> Result<()> {
        let GeneratorLayer::ConvTranspose { tensors, stride, padding, output_padding, bias } =
            config
        else {
            return Ok(());
        };
        let [c, h, w] = self.images(at)?;
        if !(1..=MOST_STRIDE).contains(stride) {
            return at.refuse("stride", format!("1 to {MOST_STRIDE}"), stride.to_string());
        }
        if output_padding > padding {
            let expected = format!("at most the padding, {padding}");
            return at.refuse("output_padding", expected, output_padding.to_string());
        }
        let name = format!("{tensors}.weight");
        let weight = self.take(at, &name, &[Some(c), None, None, None])?;
        let (_, outputs, k, l) = weight.dims4()?;
        if k != l || k == 0 || outputs == 0 {
            let expected = format!("[{c}, out, k, k]");
            return at.refuse(format!("tensor `{name}`"), expected, format!("{:?}", weight.dims()));
        }
        let map = Transposed::new(&weight, *stride, *padding, *output_padding)?;
        let (Some(high), Some(wide)) = (map.side(h), map.side(w)) else {
            let expected = format!("less than half of what {h} by {w} pixels become");
            return at.refuse("padding", expected, padding.to_string());
        };
        let Some(work) = map.work(h, w) else {
            let found = format!("{outputs} of {high} by {wide} pixels");
            return at.refuse("output", format!("images of at most {MOST_WORK} numbers"), found);
        };
        self.work = self.work.max(work);
        self.layers.push(Layer::ConvTranspose(map));
        if *bias {
            let bias = self.take(at, &format!("{tensors}.bias"), &[Some(outputs)])?;
            self.layers.push(Layer::Add(bias.reshape((outputs, 1, 1))?));
        }
        self.shape = vec![outputs, high, wide];
        Ok(())
    }

    /// The shape so far, which has to be that of images.
    fn images(&self, at: Place) -> Result<[usize; 3]> {
        match self.shape[..] {
            [c, h, w] => Ok([c, h, w]),
            _ => at.refuse("input", "images [C, H, W]", format!("{:?}", self.shape)),
        }
    }

    fn take(&mut self, at: Place, name: &str, shape: &[Option<usize>]) -> Result<Tensor> {
        let t = self.take_as(at, name, shape, self.dtype)?;
        Ok(host::place(&t, self.dtype, self.device)?)
    }

    /// The tensor of this name on the host; where `shape` has no number, any will do.
    fn take_as(
        &mut self,
        at: Place,
        name: &str,
        shape: &[Option<usize>],
        dtype: DType,
    ) -> Result<Tensor> {
        let what = || format!("tensor `{name}`");
        let any = |d: &Option<usize>| d.map_or("any".to_owned(), |d| d.to_string());
        let expected = format!("[{}]", shape.iter().map(any).collect::<Vec<_>>().join(", "));
        let Some(t) = self.tensors.remove(name) else {
            return at.refuse(what(), expected, "none of that name");
        };
        let fits = t.rank() == shape.len()
            && t.elem_count() > 0
            && t.dims().iter().zip(shape).all(|(found, wanted)| wanted.is_none_or(|d| d == *found));
        if !fits || !t.dtype().is_float() {
            return at.refuse(what(), expected, format!("{:?} of {:?}", t.dims(), t.dtype()));
        }
        Ok(t.to_dtype(dtype)?)
    }
}

impl Layer {
    /// One code for rows and for rows with tangents.
    #[expect(clippy::integer_division_remainder_used, reason = "`push` has refused a factor of 0")]
    pub(super) fn apply<T: Diff>(&self, x: &T) -> Result<T> {
        Ok(match self {
            Self::Linear(matrix) => x.matmul(matrix)?,
            Self::Reshape(shape) => x.linear(|t| {
                let batch = t.dims().iter().take(2).chain(shape);
                t.reshape(batch.copied().collect::<Vec<_>>())
            })?,
            Self::ConvTranspose(map) => images(x, |t| map.apply(t))?,
            Self::Add(t) => x.add(&T::constant(t))?,
            Self::Multiply(factors) => x.linear(|t| t.broadcast_mul(factors))?,
            Self::Relu => x.relu()?,
            Self::LeakyRelu(slope) => {
                let negative = x.value().le(0.)?;
                // NaN is not negative, and stays.
                let positive = negative.eq(0_u8)?;
                x.masked(&positive)?.add(&x.masked(&negative)?.scale(*slope)?)?
            }
            Self::Tanh => x.tanh()?,
            Self::Sigmoid => x.sigmoid()?,
            Self::Average(factor) => images(x, |t| {
                let (n, c, h, w) = t.dims4()?;
                let (high, wide, k) = (h / factor, w / factor, *factor);
                let sum = t.reshape((n * c, high, k, wide, k))?.sum(D::Minus1)?.sum(2)?;
                (sum / (k * k) as f64)?.reshape((n, c, high, wide))
            })?,
            Self::Scale { factor, shift } => x.scale(*factor)?.shift(*shift)?,
            Self::ChannelsLast => images(x, |t| t.permute((0, 2, 3, 1))?.contiguous())?,
        })
    }
}

/// A linear map of images `[n, C, H, W]`, of values and tangents alike.
fn images<T: Diff>(x: &T, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<T> {
    Ok(x.linear(|t| {
        let (b, r, c, h, w) = t.dims5()?;
        let mapped = f(&t.contiguous()?.reshape((b * r, c, h, w))?)?;
        let shape = [b, r].into_iter().chain(mapped.dims().iter().skip(1).copied());
        mapped.reshape(shape.collect::<Vec<_>>())
    })?)
}
