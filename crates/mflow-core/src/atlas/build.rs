//! From the config of an atlas to its model.
use super::frame::Frames;
use super::model::{Atlas, Places};
use super::{ChartFrame, Charts};
use crate::Result;
use crate::autoencoder::Autoencoder;
use crate::base::StandardNormal;
use crate::embedding::{Embedding, PaddedFlow};
use crate::flow::VectorFlowConfig;
use crate::model::{Model, ModelSignature};
use crate::models::{ManifoldModel, ModelConfig, Nothing, Parts, refuse};
use crate::network::NetworkConfig;
use mflow_bijectors::{Bijector, Chain, Init, Params, Piece};
use std::sync::Arc;

impl ModelConfig {
    /// Refuse numbers that cannot be.
    pub(crate) fn check_atlas(&self, charts: &Charts, tolerance: f64) -> Result<()> {
        if charts.len() < 2 {
            let reason = format!(
                "must be at least 2, found {}; for one chart the model is `m-flow` or `free-form`",
                charts.len()
            );
            return refuse("charts", reason);
        }
        if !(tolerance > 0. && tolerance.is_finite()) {
            return refuse("tolerance", format!("must be positive and finite, found {tolerance}"));
        }
        match self.sizes.context_dim {
            0 => Ok(()),
            found => refuse(
                "context_dim",
                format!(
                    "must be 0 of `{}`, whose charts take no context, found {found}",
                    self.name()
                ),
            ),
        }
    }

    /// The flow `f` of a chart around the chart's place, padded; the number of the chart, one-hot, is its context.
    pub(crate) fn flows_of_charts(
        &self,
        outer: &VectorFlowConfig,
        params: &mut Params<'_>,
    ) -> Result<Arc<dyn Embedding>> {
        let f = self.bare_outer(outer, self.placed()?.len(), params)?;
        let places = self.places(params)?;
        let f = Arc::new(Chain::new(vec![f, places])?);
        Ok(Arc::new(PaddedFlow::new(f, self.sizes.manifold_dim)?))
    }

    /// The networks of a chart around the chart's place; the number of the chart, one-hot, is their context.
    pub(crate) fn networks_of_charts(
        &self,
        networks: [&NetworkConfig; 2],
        params: &mut Params<'_>,
    ) -> Result<Autoencoder> {
        let places = self.places(params)?;
        self.autoencoder_of_charts(places, networks, self.placed()?.len(), params)
    }

    /// From coordinates around the place of a chart to data.
    fn places(&self, params: &Params<'_>) -> Result<Arc<dyn Bijector>> {
        let d = self.sizes.data_dim;
        let frames = Frames::new(self.placed()?, d, params.dtype(), params.device())?;
        self.denormalized(vec![Arc::new(frames)], params)
    }

    /// What the model of a chart is made of: its map and `h`, both with the number of the chart as their context.
    pub(crate) fn chart_parts(
        &self,
        embedding: Arc<dyn Embedding>,
        inner: &VectorFlowConfig,
        params: &mut Params<'_>,
    ) -> Result<Parts> {
        let charts = self.placed()?.len();
        Ok(Parts {
            name: self.name(),
            embedding,
            h: self.flow_of_coordinates(inner, charts, params)?,
            base: Arc::new(StandardNormal { dim: self.sizes.manifold_dim }),
            off_manifold: Arc::new(Nothing),
            context_dim: charts,
        })
    }

    /// The mixture over the charts of `model`, which has the number of a chart as its context.
    pub(crate) fn mixture_of_charts(
        &self,
        model: ManifoldModel,
        tolerance: f64,
        params: &mut Params<'_>,
    ) -> Result<Box<dyn Model>> {
        let frames = self.placed()?;
        let charts = frames.len();
        let logits = Piece::vector("logits", charts, Init::Constant(0.));
        let logits = params.scope("inner").scope("weights").flat(vec![logits])?;
        let of_chart = model.signature();
        let signature = ModelSignature {
            charts,
            context_dim: None,
            conditional_manifold: false,
            latent: format!("{}, and the number of a chart, 0 to {}", of_chart.latent, charts - 1),
            ..of_chart.clone()
        };
        let square = frames.iter().map(|f| f.scale * f.scale).sum::<f64>() / charts as f64;
        Ok(Box::new(Atlas {
            signature,
            inner: Arc::new(model),
            logits,
            normalization: self.denormalization(params)?,
            places: Places {
                centers: frames.iter().map(|f| f.center.clone()).collect(),
                width: square.sqrt(),
            },
            tolerance,
            draws: None,
        }))
    }

    /// The places of the charts.
    fn placed(&self) -> Result<&[ChartFrame]> {
        self.frames().map_or_else(
            || {
                let reason = "must have places: data say where, see `ModelConfig::place_charts`";
                refuse("charts", reason.to_owned())
            },
            Ok,
        )
    }
}
