//! Generators: trained networks from latents to data, such as those of GANs, whose image is a manifold that is
//! known exactly.
//!
//! The network of a [`Generator`] is not trained here: it is read from a safetensors file, with its layers from a
//! TOML file. So rows that it makes come with the truth: their latents, the volume of the manifold, and the
//! distance of any other row to it ([`Generator::nearest`]).
mod config;
mod layer;
mod nearest;
mod solve;
mod transposed;

pub use config::{FixedInputs, GeneratorConfig, GeneratorLayer};
pub use nearest::{Nearest, NearestConfig};

use crate::chart::with_frame;
use crate::embedding::{Embedding, volume_of};
use crate::file::read_tensors;
use crate::{DeviceName, Error, Result};
use candle_core::{DType, Device, Tensor};
use layer::{Builder, Layer};
use mflow_bijectors::{Diff, Domain, Dual, host};
use std::collections::BTreeMap;
use std::path::Path;

/// Tangents that are pushed at a time on a CPU.
const TANGENTS: usize = 16;

/// A network from latents to data.
///
/// **Shapes**: coordinates `[B, N]` of the free inputs, data `[B, D]` with `D` the numbers of an image, tangent
/// rows `[B, N, D]`.
///
/// It is an [`Embedding`] whose projection is the nearest point ([`Generator::nearest`], with the default
/// options). The volume comes from `N` tangents.
#[derive(Clone, Debug)]
pub struct Generator {
    layers: Vec<Layer>,
    /// Inputs of the network.
    inputs: usize,
    fixed: Option<Fixed>,
    /// What becomes of the inputs, without the batch.
    shape: Vec<usize>,
    /// The most numbers that are in memory for one row at a time.
    work: usize,
    dtype: DType,
    device: Device,
}

/// Inputs that do not move.
#[derive(Clone, Debug)]
struct Fixed {
    /// `[n, N]`: the row of a free input is 1 at its position.
    places: Tensor,
    /// `[N]`, 0 at free inputs.
    values: Tensor,
}

impl Generator {
    /// Read the config at `path` and its weights.
    ///
    /// # Errors
    /// As [`GeneratorConfig::read`], [`read_tensors`] and [`Generator::build`].
    pub fn load(path: &Path, dtype: DType, device: &Device) -> Result<Self> {
        let config = GeneratorConfig::read(path)?;
        let tensors = read_tensors(&config.weights)?.tensors;
        Self::build(&config, tensors, dtype, device)
    }

    /// From a config and tensors by name. `dtype` converts the tensors once.
    ///
    /// # Errors
    /// [`Error::GeneratorLayer`] where a tensor is missing or has another shape, where layers do not fit each
    /// other, and where a tensor belongs to no layer; if the device cannot hold `dtype`.
    pub fn build(
        config: &GeneratorConfig,
        tensors: BTreeMap<String, Tensor>,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        DeviceName::of(device).check(dtype)?;
        let inputs = config.inputs;
        if inputs == 0 {
            return Err(Error::GeneratorLayer {
                layer: 0,
                kind: "start",
                what: "inputs".into(),
                expected: "1 or more".into(),
                found: "0".into(),
            });
        }
        let (shape, layers) = (vec![inputs], Vec::new());
        let mut builder = Builder { tensors, dtype, device, shape, layers, work: inputs };
        for (layer, config) in config.layers.iter().enumerate() {
            builder.push(layer, config)?;
        }
        if let Some(name) = builder.tensors.keys().next() {
            return Err(Error::GeneratorLayer {
                layer: config.layers.len(),
                kind: "end",
                what: format!("tensor `{name}`").into(),
                expected: "a layer that uses it".into(),
                found: "none; add the layer, or take the tensor out of the file".into(),
            });
        }
        let Builder { mut layers, mut shape, work, .. } = builder;
        if config.channels_last
            && let [c, h, w] = shape[..]
        {
            layers.push(Layer::ChannelsLast);
            shape = vec![h, w, c];
        }
        let device = device.clone();
        let built = Self { layers, inputs, fixed: None, shape, work, dtype, device };
        match &config.fixed {
            Some(fixed) => built.with_fixed(&fixed.values, &fixed.free),
            None => Ok(built),
        }
    }

    /// The manifold that the inputs `free` draw while all others stay at `values`, which has a number for every
    /// input of the network.
    ///
    /// # Errors
    /// [`Error::Data`] if there are not as many values as inputs, or `free` is empty, repeats a position or has
    /// one that is none.
    #[expect(
        clippy::indexing_slicing,
        reason = "positions below the number of inputs, as was checked"
    )]
    pub fn with_fixed(&self, values: &[f64], free: &[usize]) -> Result<Self> {
        let refuse = |arg, expected: String, found: String| {
            Err(Error::Data { op: "Generator::with_fixed", arg, expected, found })
        };
        let inputs = self.inputs;
        if values.len() != inputs {
            return refuse("values", format!("{inputs} numbers"), values.len().to_string());
        }
        let mut sorted = free.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        if free.is_empty() || sorted.len() < free.len() || sorted.last() >= Some(&inputs) {
            let expected = format!("different positions below {inputs}, at least one");
            return refuse("free", expected, format!("{free:?}"));
        }
        let mut values = values.to_vec();
        let mut places = vec![0.; free.len() * inputs];
        for (row, &input) in free.iter().enumerate() {
            values[input] = 0.;
            places[row * inputs + input] = 1.;
        }
        let place = |t: Tensor| host::place(&t, self.dtype, &self.device);
        let places = place(Tensor::from_vec(places, (free.len(), inputs), &Device::Cpu)?)?;
        let values = place(Tensor::from_vec(values, inputs, &Device::Cpu)?)?;
        Ok(Self { fixed: Some(Fixed { places, values }), ..self.clone() })
    }

    /// The number of free inputs, `N`.
    #[expect(clippy::indexing_slicing, reason = "a matrix has two axes")]
    pub fn free_inputs(&self) -> usize {
        self.fixed.as_ref().map_or(self.inputs, |fixed| fixed.places.dims()[0])
    }

    /// The shape of what one row holds, such as `[64, 64, 3]`.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Dtype of latents and data.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The device of latents and data.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The data at coordinates `u: [B, N]`.
    ///
    /// # Errors
    /// If `u` has another shape or dtype.
    pub fn forward(&self, u: &Tensor) -> Result<Tensor> {
        self.check("Generator::forward", "u", u, self.free_inputs())?;
        match u.dim(0)? {
            0 => self.nothing(&[0, self.data_dim()]),
            _ => self.apply(u),
        }
    }

    /// The data at coordinates with tangent rows `[B, K, N]`, and what becomes of the tangents, `[B, K, D]`.
    ///
    /// # Errors
    /// If `u` has another shape or dtype.
    pub fn push(&self, u: &Dual) -> Result<Dual> {
        self.check("Generator::push", "u", u.value(), self.free_inputs())?;
        match (u.value().dim(0)?, u.tangents()) {
            (0, Some(rows)) => {
                let d = self.data_dim();
                Ok(Dual::new(self.nothing(&[0, d])?, self.nothing(&[0, rows.dim(1)?, d])?)?)
            }
            (0, None) => Ok(Dual::constant(&self.nothing(&[0, self.data_dim()])?)),
            (_, Some(rows)) if self.device.is_cpu() && rows.dim(1)? > TANGENTS => {
                self.push_in_parts(u.value(), rows)
            }
            _ => self.apply(u),
        }
    }

    /// Some tangents at a time, so that the images that they are in between stay in the cache.
    fn push_in_parts(&self, u: &Tensor, rows: &Tensor) -> Result<Dual> {
        let count = rows.dim(1)?;
        let part = |first: usize| {
            let some = rows.narrow(1, first, TANGENTS.min(count - first))?;
            self.apply(&Dual::new(u.clone(), some)?)
        };
        let parts = (0..count).step_by(TANGENTS).map(part).collect::<Result<Vec<_>>>()?;
        let tangents: Vec<&Tensor> = parts.iter().filter_map(Dual::tangents).collect();
        match parts.first() {
            Some(first) => Ok(Dual::new(first.value().clone(), Tensor::cat(&tangents, 1)?)?),
            None => Ok(Dual::constant(u)),
        }
    }

    fn apply<T: Diff>(&self, u: &T) -> Result<T> {
        let mut x = match &self.fixed {
            Some(Fixed { places, values }) => u.matmul(places)?.add(&T::constant(values))?,
            None => u.clone(),
        };
        for layer in &self.layers {
            x = layer.apply(&x)?;
        }
        let d = self.data_dim();
        Ok(x.linear(|t| {
            let (b, r) = (t.dim(0)?, t.dim(1)?);
            t.contiguous()?.reshape((b, r, d))
        })?)
    }

    fn nothing(&self, shape: &[usize]) -> Result<Tensor> {
        Ok(host::zeros(shape, self.dtype, &self.device)?)
    }

    fn check(&self, op: &'static str, arg: &'static str, t: &Tensor, columns: usize) -> Result<()> {
        crate::chart::check(op, arg, t, columns, self.dtype)
    }
}

impl Embedding for Generator {
    fn manifold_dim(&self) -> usize {
        self.free_inputs()
    }
    fn data_dim(&self) -> usize {
        self.shape.iter().product()
    }
    fn context_dim(&self) -> Option<usize> {
        None
    }
    fn domain(&self) -> Domain {
        Domain::Reals
    }
    fn embed(&self, u: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        self.forward(u)
    }
    fn embed_with_jacobian(&self, u: &Tensor, _: Option<&Tensor>) -> Result<Dual> {
        self.check("Embedding::embed_with_jacobian", "u", u, self.free_inputs())?;
        self.push(&with_frame(u)?)
    }
    fn coordinates(&self, x: &Tensor, _: Option<&Tensor>) -> Result<Tensor> {
        Ok(self.nearest(x, &NearestConfig::default())?.latents)
    }
    fn log_volume(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        volume_of(&self.embed_with_jacobian(u, context)?)
    }
    fn embed_with_volume(
        &self,
        u: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Option<(Tensor, Tensor)>> {
        let x = self.embed_with_jacobian(u, context)?;
        let volume = volume_of(&x)?;
        Ok(Some((x.value().clone(), volume)))
    }
    /// A search, which may end in a point that is only nearer than those around it.
    fn inverts(&self) -> bool {
        false
    }
}
