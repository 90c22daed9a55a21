//! From configs to models.
use super::manifold::{ManifoldModel, Parts};
use super::off_manifold::{
    InjectiveBound, NoDensity, NormalNoise, Nothing, OffManifold, Variational,
};
use super::ratio::{Ratio, RatioUnits};
use super::{ModelConfig, ModelParts, ModelSizes};
use crate::autoencoder::{Autoencoder, Encoded, Encoder};
use crate::base::{BaseDensity, StandardNormal, UniformAngles};
use crate::bounded::Bounded;
use crate::chart::ChartConfig;
use crate::embedding::{Embedding, PaddedFlow};
use crate::flow::VectorFlowConfig;
use crate::frame::Frame;
use crate::model::Model;
use crate::network::{Ends, Network, NetworkConfig};
use crate::normalize::coarse_column;
use crate::refined::Refined;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use mflow_bijectors::{
    Bijector, Chain, ContextUnits, Domain, FeatureAffine, FeatureAffineConfig, Init, ParamStore,
    Params, Piece,
};
use std::sync::Arc;

/// Features, at most: those of images of 4096 x 4096 pixels. What asks for more is a mistake, or a file made to fill memory.
const MOST: usize = 1 << 24;

/// Steps that improve codes, at most: each squares their error.
const MOST_STEPS: usize = 1000;

impl ModelConfig {
    /// Build over `store`. Parameters whose name (such as `outer.3`) `trained` rejects are frozen:
    /// they share their storage with other builds but cost no backward.
    ///
    /// # Errors
    /// If a field is out of range or a loaded parameter does not fit.
    pub fn build(
        &self,
        store: &mut ParamStore,
        trained: impl Fn(&str) -> bool,
    ) -> Result<Box<dyn Model>> {
        self.check()?;
        // A session speaks the errors of bijectors; those of this crate wait outside.
        let mut failure = None;
        let built = store.build(trained, |params| match self.model(params) {
            Ok(model) => Ok(Some(model)),
            Err(Error::Bijector(error)) => Err(error),
            Err(error) => {
                failure = Some(error);
                Ok(None)
            }
        });
        match (failure, built) {
            (Some(error), _) => Err(error),
            (None, Ok(Some(model))) => Ok(model),
            (None, Ok(None)) => refuse("kind", "builds nothing".to_owned()),
            (None, Err(error)) => Err(error.into()),
        }
    }

    /// Refuse sizes that cannot be.
    pub(crate) fn check(&self) -> Result<()> {
        let ModelSizes { data_dim: d, manifold_dim: n, normalization, .. } = &self.sizes;
        for (field, found) in
            [("data_dim", *d), ("manifold_dim", *n), ("context_dim", self.sizes.context_dim)]
        {
            if found > MOST {
                return refuse(field, format!("must be at most {MOST}, found {found}"));
            }
        }
        if let Some((around, manifold)) = self.chart().map(ChartConfig::dims) {
            // With an `f` behind it the chart may lie in a part of the space.
            let fits =
                around == *d || (around < *d && !matches!(self.parts, ModelParts::Fom { .. }));
            if !fits || manifold != *n {
                let reason = format!(
                    "must fit: it is of dimension {manifold}, in {around} features, found manifold_dim = {n} \
                     and data_dim = {d}; beside a chart manifold_dim can be left out"
                );
                return refuse("chart", reason);
            }
        }
        match &self.parts {
            ModelParts::Af { .. } | ModelParts::Ratio { .. } if n != d => {
                return refuse(
                    "manifold_dim",
                    format!("must be data_dim = {d} of `{}`, found {n}", self.name()),
                );
            }
            ModelParts::Ratio { .. } if self.sizes.context_dim == 0 => {
                let reason =
                    "must be at least 1 of `ratio`, whose ratios are those of parameters, found 0";
                return refuse("context_dim", reason.to_owned());
            }
            ModelParts::Fom { .. } if normalization.is_some() => {
                let reason = "must be left out of `fom`, whose manifold is given in data units";
                return refuse("normalization", reason.to_owned());
            }
            ModelParts::Af { .. }
            | ModelParts::Ratio { .. }
            | ModelParts::Fom { .. }
            | ModelParts::Atlas { .. }
            | ModelParts::FreeFormAtlas { .. }
                if self.sizes.frame.is_some() =>
            {
                let reason = format!(
                    "must be left out of `{}`, whose manifold starts elsewhere, found one",
                    self.name()
                );
                return refuse("frame", reason);
            }
            _ if self.sizes.frame.is_some() && self.image().is_some() => {
                let reason = "must be left out of models of images, whose layers see neighbouring pixels and not \
                              axes, found one";
                return refuse("frame", reason.to_owned());
            }
            ModelParts::Atlas { .. } | ModelParts::FreeFormAtlas { .. }
                if self.image().is_some() =>
            {
                let reason = format!(
                    "must be of vectors in `{}`, whose charts lie along axes, found a part of images",
                    self.name()
                );
                return refuse("kind", reason);
            }
            ModelParts::Af { .. } | ModelParts::Ratio { .. } | ModelParts::Fom { .. } => {}
            _ if *n == 0 || n >= d => {
                let reason = format!("must be at least 1 and less than data_dim = {d}, found {n}");
                return refuse("manifold_dim", reason);
            }
            _ => {}
        }
        for (name, network) in self.parts.networks() {
            let width = network.hidden();
            if (1..*n).contains(&width) {
                let reason = format!(
                    "must be at least manifold_dim = {n}, as no {n} coordinates pass through fewer units, found {width}"
                );
                return refuse(&format!("{name}.hidden"), reason);
            }
        }
        if let ModelParts::Atlas { charts, tolerance, .. }
        | ModelParts::FreeFormAtlas { charts, tolerance, .. } = &self.parts
        {
            self.check_atlas(charts, *tolerance)?;
        }
        let fixed = matches!(
            self.parts,
            ModelParts::Af { .. }
                | ModelParts::Ratio { .. }
                | ModelParts::Fom { .. }
                | ModelParts::Vae { .. }
                | ModelParts::Atlas { .. }
                | ModelParts::FreeFormAtlas { .. }
        );
        if self.sizes.conditional_manifold && fixed {
            let reason = format!(
                "must be left out of `{}`, which has no choice of it, found true",
                self.name()
            );
            return refuse("conditional_manifold", reason);
        }
        if let ModelParts::Pie { epsilon, .. } = self.parts
            && !(epsilon > 0. && epsilon.is_finite())
        {
            return refuse("epsilon", format!("must be positive and finite, found {epsilon}"));
        }
        let ModelSizes { context_dim: c, context_normalization, .. } = &self.sizes;
        for (field, affine, name, expected) in [
            ("normalization", normalization, "data_dim", *d),
            ("context_normalization", context_normalization, "context_dim", *c),
        ] {
            match affine.as_ref().map(|a| a.scale.len()) {
                Some(found) if found != expected => {
                    let reason = format!("must have {name} = {expected} columns, found {found}");
                    return refuse(field, reason);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Refuse single precision for data whose offsets it cannot hold ([`Self::needs_double`]). Building a model checks it;
    /// who looks at data before asks first.
    ///
    /// # Errors
    /// If `dtype` is f32 and a column has a mean more than 1000 times its deviation.
    #[expect(
        clippy::indexing_slicing,
        reason = "a coarse column is one that has a shift and a scale"
    )]
    pub fn check_precision(&self, dtype: DType) -> Result<()> {
        let ModelSizes { normalization, context_normalization, .. } = &self.sizes;
        let all = [
            ("normalization", normalization, "column"),
            ("context_normalization", context_normalization, "context column"),
        ];
        let coarse = all.into_iter().find_map(|(field, affine, what)| {
            let affine = affine.as_ref().filter(|_| dtype == DType::F32)?;
            Some((field, affine, what, coarse_column(affine)?))
        });
        let Some((field, affine, what, column)) = coarse else { return Ok(()) };
        let (mean, deviation) = (affine.shift[column], affine.scale[column]);
        // Half a unit in the last place.
        let rounding = mean.abs() * f64::from(f32::EPSILON) / 2.;
        refuse(
            field,
            format!(
                "asks for double precision (dtype f64), as {what} {column} has mean {mean} and deviation {deviation}, \
                 and single precision rounds its values by up to {rounding:.1e}"
            ),
        )
    }

    fn model(&self, params: &mut Params<'_>) -> Result<Box<dyn Model>> {
        self.check_precision(params.dtype())?;
        if let ModelParts::Ratio { network } = &self.parts {
            let normalization = self.denormalization(params)?;
            let units = self.sizes.context_normalization.clone();
            let units = units.unwrap_or_else(|| identity(self.sizes.context_dim)).build(params)?;
            let of_inputs = RatioUnits { data: normalization, context: Arc::new(units) };
            return Ok(Box::new(Ratio::build(self, network, of_inputs, params)?));
        }
        let model = ManifoldModel::new(self.parts(params)?, params);
        match &self.parts {
            ModelParts::Atlas { tolerance, .. } | ModelParts::FreeFormAtlas { tolerance, .. } => {
                self.mixture_of_charts(model, *tolerance, params)
            }
            _ => Ok(Box::new(model)),
        }
    }

    fn parts(&self, params: &mut Params<'_>) -> Result<Parts> {
        let ModelSizes { data_dim: d, manifold_dim: n, context_dim, .. } = self.sizes;
        let name = self.name();
        let on_reals = |embedding, h, off_manifold: Arc<dyn OffManifold>| {
            let base: Arc<dyn BaseDensity> = Arc::new(StandardNormal { dim: n });
            Parts { name, embedding, h, base, off_manifold, context_dim }
        };
        match &self.parts {
            ModelParts::Af { inner } => {
                let whole = PaddedFlow::new(self.denormalization(params)?, d)?;
                let h = self.inner(inner, params)?;
                Ok(on_reals(Arc::new(whole), h, Arc::new(Nothing)))
            }
            ModelParts::Fom { chart, inner } => {
                self.on_chart(chart.build(params.dtype(), params.device())?, inner, params)
            }
            ModelParts::Pie { outer, inner, epsilon } => {
                let padded = self.padded_flow(outer, params)?;
                let normal = Arc::new(NormalNoise { epsilon: *epsilon });
                Ok(on_reals(Arc::new(padded), self.inner(inner, params)?, normal))
            }
            ModelParts::MFlow { chart: Some(chart), outer, inner } => {
                self.on_chart(chart.build_over(self.outer(outer, params)?)?, inner, params)
            }
            ModelParts::MFlow { chart: None, outer, inner } => {
                let padded = self.padded_flow(outer, params)?;
                Ok(on_reals(Arc::new(padded), self.inner(inner, params)?, Arc::new(Nothing)))
            }
            ModelParts::Atlas { outer, inner, .. } => {
                let embedding = self.flows_of_charts(outer, params)?;
                self.chart_parts(embedding, inner, params)
            }
            ModelParts::FreeFormAtlas { encoder, decoder, inner, steps, .. } => {
                let networks = self.networks_of_charts([encoder, decoder], params)?;
                self.chart_parts(self.refined(networks, *steps, params)?, inner, params)
            }
            ModelParts::MeFlow { outer, inner, encoder } => {
                let embedding = Arc::new(self.padded_flow(outer, params)?);
                let encoder = self.encoder(encoder, self.of_manifold(), n, params)?;
                let encoded = Encoded { embedding, encoder };
                Ok(on_reals(Arc::new(encoded), self.inner(inner, params)?, Arc::new(Nothing)))
            }
            ModelParts::Pae { encoder, decoder, inner }
            | ModelParts::FreeForm { encoder, decoder, inner, .. }
            | ModelParts::Rif { encoder, decoder, inner } => {
                let networks = self.autoencoder(encoder, decoder, self.of_manifold(), n, params)?;
                let networks: Arc<dyn Embedding> = match self.parts {
                    ModelParts::FreeForm { steps, .. } => self.refined(networks, steps, params)?,
                    _ => Arc::new(networks),
                };
                let h = self.inner(inner, params)?;
                // The same maps: what differs is what is said of their density.
                let off_manifold: Arc<dyn OffManifold> = match &self.parts {
                    ModelParts::FreeForm { .. } => Arc::new(Nothing),
                    ModelParts::Rif { .. } => Arc::new(InjectiveBound),
                    _ => Arc::new(NoDensity),
                };
                Ok(on_reals(networks, h, off_manifold))
            }
            ModelParts::Vae { encoder, decoder } => {
                let networks = self.autoencoder(encoder, decoder, context_dim, 2 * n, params)?;
                let log_scale = Piece::vector("log_scale", 1, Init::Constant(0.));
                let log_scale = params.scope("decoder").scope("noise").flat(vec![log_scale])?;
                let variational = Variational { networks, log_scale };
                let h: Arc<dyn Bijector> = Arc::new(identity(n).build(params)?);
                let embedding = variational.embedding();
                let base = Arc::new(StandardNormal { dim: n });
                let off_manifold = Arc::new(variational);
                Ok(Parts { name, embedding, h, base, off_manifold, context_dim })
            }
            ModelParts::Ratio { .. } => refuse("kind", "has no manifold".to_owned()),
        }
    }

    /// Context features of the manifold.
    fn of_manifold(&self) -> usize {
        if self.sizes.conditional_manifold { self.sizes.context_dim } else { 0 }
    }

    /// `h`, on coordinates.
    fn inner(
        &self,
        inner: &VectorFlowConfig,
        params: &mut Params<'_>,
    ) -> Result<Arc<dyn Bijector>> {
        let h = self.flow_of_coordinates(inner, self.sizes.context_dim, params)?;
        self.in_units(h, params)
    }

    /// A map whose context is that of the model, in units of its normalisation if it has one.
    fn in_units(&self, map: Arc<dyn Bijector>, params: &Params<'_>) -> Result<Arc<dyn Bijector>> {
        match &self.sizes.context_normalization {
            Some(units) if map.signature().context_dim.is_some() => {
                Ok(Arc::new(ContextUnits::new(map, Arc::new(units.build(params)?))?))
            }
            _ => Ok(map),
        }
    }

    /// The same of a network.
    fn network_in_units(&self, network: Network, params: &Params<'_>) -> Result<Network> {
        network.mapped(|coupling| self.in_units(coupling, params))
    }

    /// `h` with a context of its own.
    pub(crate) fn flow_of_coordinates(
        &self,
        inner: &VectorFlowConfig,
        context_dim: usize,
        params: &mut Params<'_>,
    ) -> Result<Arc<dyn Bijector>> {
        let manifold_dim = self.sizes.manifold_dim;
        let inner = inner.bijector(manifold_dim, context_dim).map_err(under("inner"))?;
        check_shape("inner", inner.build(&mut params.scope("inner"))?, manifold_dim)
    }

    /// The identity if there is no normalisation.
    pub(crate) fn denormalization(&self, params: &Params<'_>) -> Result<Arc<FeatureAffine>> {
        let config = self.sizes.normalization.clone();
        Ok(Arc::new(config.unwrap_or_else(|| identity(self.sizes.data_dim)).build(params)?))
    }

    /// `f`, with the normalisation as its outermost part.
    fn outer(
        &self,
        outer: &VectorFlowConfig,
        params: &mut Params<'_>,
    ) -> Result<Arc<dyn Bijector>> {
        let bare = self.bare_outer(outer, self.of_manifold(), params)?;
        let bare = self.in_units(bare, params)?;
        Ok(Arc::new(Chain::new(vec![bare, self.frame_to_data(params)?])?))
    }

    /// From the coordinates along the axes of the frame, if there is one, to data.
    fn frame_to_data(&self, params: &Params<'_>) -> Result<Arc<dyn Bijector>> {
        let frame = self.sizes.frame.as_ref().map(|frame| -> Result<Arc<dyn Bijector>> {
            let d = self.sizes.data_dim;
            Ok(Arc::new(Frame::new(frame, d, params.dtype(), params.device())?))
        });
        match frame.transpose()? {
            Some(frame) => self.denormalized(vec![frame], params),
            None => Ok(self.denormalization(params)?),
        }
    }

    /// `f` alone.
    pub(crate) fn bare_outer(
        &self,
        outer: &VectorFlowConfig,
        context_dim: usize,
        params: &mut Params<'_>,
    ) -> Result<Arc<dyn Bijector>> {
        let d = self.sizes.data_dim;
        let outer = outer.bijector(d, context_dim).map_err(under("outer"))?;
        check_shape("outer", outer.build(&mut params.scope("outer"))?, d)
    }

    /// These maps, then the normalisation.
    pub(crate) fn denormalized(
        &self,
        mut parts: Vec<Arc<dyn Bijector>>,
        params: &Params<'_>,
    ) -> Result<Arc<dyn Bijector>> {
        if self.sizes.normalization.is_some() {
            parts.push(self.denormalization(params)?);
        }
        Ok(Arc::new(Chain::new(parts)?))
    }

    /// `u -> f(u, 0)`.
    fn padded_flow(&self, outer: &VectorFlowConfig, params: &mut Params<'_>) -> Result<PaddedFlow> {
        PaddedFlow::new(self.outer(outer, params)?, self.sizes.manifold_dim)
    }

    fn encoder(
        &self,
        net: &NetworkConfig,
        context_dim: usize,
        outputs: usize,
        params: &mut Params<'_>,
    ) -> Result<Encoder> {
        let (normalization, framed) = (self.frame_to_data(params)?, self.sizes.frame.is_some());
        let encoder = self.encoder_of(normalization, framed, net, context_dim, outputs, params)?;
        Ok(Encoder { net: self.network_in_units(encoder.net, params)?, ..encoder })
    }

    /// An encoder of what the inverse of `normalization` makes of data; see [`Encoder`] for `framed`.
    fn encoder_of(
        &self,
        normalization: Arc<dyn Bijector>,
        framed: bool,
        net: &NetworkConfig,
        context_dim: usize,
        outputs: usize,
        params: &mut Params<'_>,
    ) -> Result<Encoder> {
        let d = self.sizes.data_dim;
        let params = &mut params.scope("encoder");
        let net = Network::build(params, net, Ends { inputs: d, context_dim, outputs }, framed)?;
        Ok(Encoder { normalization, net, dim: self.sizes.manifold_dim, framed })
    }

    fn autoencoder(
        &self,
        encoder: &NetworkConfig,
        decoder: &NetworkConfig,
        context_dim: usize,
        outputs: usize,
        params: &mut Params<'_>,
    ) -> Result<Autoencoder> {
        let encoder = self.encoder(encoder, context_dim, outputs, params)?;
        let networks = self.with_decoder(encoder, decoder, context_dim, params)?;
        let decoder = self.network_in_units(networks.decoder, params)?;
        Ok(Autoencoder { decoder, ..networks })
    }

    fn with_decoder(
        &self,
        encoder: Encoder,
        decoder: &NetworkConfig,
        context_dim: usize,
        params: &mut Params<'_>,
    ) -> Result<Autoencoder> {
        let ModelSizes { data_dim: d, manifold_dim: n, .. } = self.sizes;
        let params = &mut params.scope("decoder");
        let ends = Ends { inputs: n, context_dim, outputs: d };
        let decoder = Network::build(params, decoder, ends, encoder.framed)?;
        Ok(Autoencoder { encoder, decoder })
    }

    /// With coordinates that are improved by so many steps.
    fn refined(
        &self,
        networks: Autoencoder,
        steps: usize,
        params: &Params<'_>,
    ) -> Result<Arc<dyn Embedding>> {
        let embedding = Arc::new(networks);
        if steps == 0 {
            return Ok(embedding);
        }
        if steps > MOST_STEPS {
            return refuse("steps", format!("must be at most {MOST_STEPS}, found {steps}"));
        }
        let d = self.sizes.data_dim;
        let scale = self.sizes.normalization.as_ref().map_or(vec![1.; d], |n| n.scale.clone());
        let units = scale.into_iter().map(f64::recip).collect();
        let units = Tensor::from_vec(units, d, &Device::Cpu)?.to_dtype(params.dtype())?;
        let units = units.to_device(params.device())?;
        Ok(Arc::new(Refined { embedding, steps, units }))
    }

    /// The encoder and the decoder of all charts. Both see the number of the chart, one-hot, and data around the place
    /// of the chart.
    pub(crate) fn autoencoder_of_charts(
        &self,
        places: Arc<dyn Bijector>,
        [encoder, decoder]: [&NetworkConfig; 2],
        charts: usize,
        params: &mut Params<'_>,
    ) -> Result<Autoencoder> {
        let n = self.sizes.manifold_dim;
        let encoder = self.encoder_of(places, true, encoder, charts, n, params)?;
        self.with_decoder(encoder, decoder, charts, params)
    }

    /// `x = embed(h(ũ))`, with `h` onto the coordinates of a chart.
    fn on_chart(
        &self,
        embedding: Box<dyn Embedding>,
        inner: &VectorFlowConfig,
        params: &mut Params<'_>,
    ) -> Result<Parts> {
        let n = self.sizes.manifold_dim;
        let domain = embedding.domain();
        let mut h = self.inner(inner, params)?;
        if !h.signature().data_domain.fits(&domain) {
            // From R^N into the box of the coordinates.
            let bounded = Bounded::new(&domain, n, params.dtype(), params.device())?;
            h = Arc::new(Chain::new(vec![h, Arc::new(bounded)])?);
        }
        let from = &h.signature().latent_domain;
        let base: Arc<dyn BaseDensity> = match from {
            Domain::Angle => Arc::new(UniformAngles { dim: n }),
            other if other.fits(&Domain::Reals) => Arc::new(StandardNormal { dim: n }),
            other => {
                let reason = format!("must start from the reals or from angles, found {other}");
                return refuse("inner", reason);
            }
        };
        Ok(Parts {
            name: self.name(),
            embedding: Arc::from(embedding),
            h,
            base,
            off_manifold: Arc::new(Nothing),
            context_dim: self.sizes.context_dim,
        })
    }
}

fn identity(dim: usize) -> FeatureAffineConfig {
    FeatureAffineConfig::new(vec![0.; dim], vec![1.; dim])
}

pub(crate) fn refuse<T>(field: &str, reason: String) -> Result<T> {
    Err(mflow_bijectors::Error::config(field, reason).into())
}

/// A custom flow may have any shape.
fn check_shape(
    field: &'static str,
    flow: Arc<dyn Bijector>,
    dim: usize,
) -> Result<Arc<dyn Bijector>> {
    let found = &flow.signature().latent_shape;
    if *found == [dim] && flow.signature().data_shape == [dim] {
        return Ok(flow);
    }
    refuse(field, format!("must be a flow of vectors of {dim} features, found shape {found:?}"))
}

/// Put the field in front of an error's own.
fn under(field: &'static str) -> impl Fn(Error) -> Error {
    move |error| match error {
        Error::Bijector(mflow_bijectors::Error::Config { field: inner, reason }) => {
            mflow_bijectors::Error::config(format!("{field}.{inner}"), reason).into()
        }
        other => other,
    }
}
