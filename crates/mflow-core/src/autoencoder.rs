//! Embeddings with networks: an encoder in place of `f⁻¹`, and a decoder in place of `f`.
use crate::embedding::{Embedding, columns};
use crate::network::Network;
use crate::tangents::{Portion, TANGENT_MEMORY};
use crate::{Result, chart};
use candle_core::{D, Tensor};
use mflow_bijectors::{Bijector, Diff, Direction, Domain, Dual, Noise};
use std::sync::Arc;

/// Another embedding whose coordinates come from an encoder network instead of its own projection:
/// the manifold is that of the embedding, the projection is `embed(encoder(x))`.
///
/// The M_e-flow of Brehmer & Cranmer (2020), section 2.E. The network sees normalised data.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub(crate) embedding: Arc<dyn Embedding>,
    pub(crate) encoder: Encoder,
}

/// A network of normalised data, whose first outputs are the coordinates.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    /// From what the network sees to data: the normalisation, after the frame if the model has one. In an atlas, after
    /// the place of the chart that the context names.
    pub(crate) normalization: Arc<dyn Bijector>,
    pub(crate) net: Network,
    /// Number of coordinates.
    pub(crate) dim: usize,
    /// Whether what the network sees are coordinates along the axes of a frame or of a chart. Then the outputs are added
    /// to the first `dim` of them, and those of a decoder likewise: with outputs of 0, both are the projection on
    /// the plane of these axes.
    pub(crate) framed: bool,
}

impl Encoder {
    /// All outputs of the network.
    pub(crate) fn outputs(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let of_map = self.normalization.signature().context_dim.and(context);
        let normalized = self.normalization.map(Direction::Inverse, x, of_map)?.value;
        self.outputs_of(&normalized, context)
    }
    /// All outputs of the network, for what it sees of data.
    pub(crate) fn outputs_of(
        &self,
        normalized: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Tensor> {
        let outputs = self.net.apply(normalized, context)?;
        if !self.framed {
            return Ok(outputs);
        }
        let along = columns(normalized, 0, self.dim)?;
        let others = outputs.dim(D::Minus1)? - self.dim;
        Ok((outputs + along.pad_with_zeros(D::Minus1, 0, others)?)?)
    }
    fn coordinates(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        columns(&self.outputs(x, context)?, 0, self.dim)
    }
    fn training(&self, noise: &Noise) -> Result<Option<Self>> {
        Ok(self.net.training(noise)?.map(|net| Self { net, ..self.clone() }))
    }
}

impl Embedding for Encoded {
    fn manifold_dim(&self) -> usize {
        self.embedding.manifold_dim()
    }
    fn data_dim(&self) -> usize {
        self.embedding.data_dim()
    }
    fn context_dim(&self) -> Option<usize> {
        self.embedding.context_dim().or(self.encoder.net.context_dim())
    }
    fn domain(&self) -> Domain {
        self.embedding.domain()
    }
    fn embed(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.embedding.embed(u, context)
    }
    fn embed_with_jacobian(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Dual> {
        self.embedding.embed_with_jacobian(u, context)
    }
    fn coordinates(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.encoder.coordinates(x, context)
    }
    fn log_volume(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.embedding.log_volume(u, context)
    }
    fn embed_with_volume(
        &self,
        u: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Option<(Tensor, Tensor)>> {
        self.embedding.embed_with_volume(u, context)
    }
    fn inverts(&self) -> bool {
        false
    }
    fn flow(&self) -> Option<&Arc<dyn Bijector>> {
        self.embedding.flow()
    }
    fn observe(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.embedding.observe(x, context)?;
        self.coordinates(x, context)
    }
    fn training(&self, noise: &Noise) -> Result<Option<Arc<dyn Embedding>>> {
        let (embedding, encoder) = (self.embedding.training(noise)?, self.encoder.training(noise)?);
        if embedding.is_none() && encoder.is_none() {
            return Ok(None);
        }
        Ok(Some(Arc::new(Self {
            embedding: embedding.unwrap_or_else(|| self.embedding.clone()),
            encoder: encoder.unwrap_or_else(|| self.encoder.clone()),
        })))
    }
}

/// `x = decoder(u)`, with coordinates from an encoder: neither is invertible, so the image may cross
/// itself and several `u` may share a point. The volume is that of the decoder at `u`.
#[derive(Clone, Debug)]
pub(crate) struct Autoencoder {
    pub(crate) encoder: Encoder,
    pub(crate) decoder: Network,
}

impl Autoencoder {
    /// The decoder's output before normalisation is undone.
    pub(crate) fn decode_normalized<T: Diff>(&self, u: &T, context: Option<&T>) -> Result<T> {
        let outputs = self.decoder.apply(u, context)?;
        if !self.encoder.framed {
            return Ok(outputs);
        }
        let across = self.data_dim() - self.encoder.dim;
        Ok(outputs.add(&u.linear(|t| t.pad_with_zeros(D::Minus1, 0, across))?)?)
    }
    fn portion(&self) -> Result<Portion> {
        let s = self.encoder.normalization.signature();
        Portion::of(self.decoder.working_size(), self.encoder.dim, s.dtype, TANGENT_MEMORY)
    }
    fn decode<T: Diff>(&self, u: &T, context: Option<&T>) -> Result<T> {
        let normalized = self.decode_normalized(u, context)?;
        let map = self.encoder.normalization.as_ref();
        let of_map = map.signature().context_dim.and(context);
        Ok(normalized.through(map, Direction::Forward, of_map)?.value)
    }
}

impl Embedding for Autoencoder {
    fn manifold_dim(&self) -> usize {
        self.encoder.dim
    }
    #[expect(clippy::indexing_slicing, reason = "a normalisation is a map of vectors")]
    fn data_dim(&self) -> usize {
        self.encoder.normalization.signature().data_shape[0]
    }
    fn context_dim(&self) -> Option<usize> {
        self.decoder.context_dim()
    }
    fn domain(&self) -> Domain {
        Domain::Reals
    }
    fn embed(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.decode(u, context)
    }
    fn embed_with_jacobian(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Dual> {
        self.portion()?
            .jacobian(u, context, chart::with_frame, |u, context| self.decode(u, context))
    }
    fn coordinates(&self, x: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        self.encoder.coordinates(x, context)
    }
    fn log_volume(&self, u: &Tensor, context: Option<&Tensor>) -> Result<Tensor> {
        let jacobian = |u: &Tensor, c: Option<&Tensor>| self.embed_with_jacobian(u, c);
        let [_, volume] = self.portion()?.volume(u, context, jacobian)?;
        Ok(volume)
    }
    fn embed_with_volume(
        &self,
        u: &Tensor,
        context: Option<&Tensor>,
    ) -> Result<Option<(Tensor, Tensor)>> {
        let jacobian = |u: &Tensor, c: Option<&Tensor>| self.embed_with_jacobian(u, c);
        let [value, volume] = self.portion()?.volume(u, context, jacobian)?;
        Ok(Some((value, volume)))
    }
    fn inverts(&self) -> bool {
        false
    }
    fn training(&self, noise: &Noise) -> Result<Option<Arc<dyn Embedding>>> {
        Ok(self.training_parts(noise)?.map(|parts| Arc::new(parts) as Arc<dyn Embedding>))
    }
}

impl Autoencoder {
    /// [`Embedding::training`], as an autoencoder.
    pub(crate) fn training_parts(&self, noise: &Noise) -> Result<Option<Self>> {
        let (encoder, decoder) = (self.encoder.training(noise)?, self.decoder.training(noise)?);
        if encoder.is_none() && decoder.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            encoder: encoder.unwrap_or_else(|| self.encoder.clone()),
            decoder: decoder.unwrap_or_else(|| self.decoder.clone()),
        }))
    }
}
