//! Every chart and every model keeps the laws of `mflow_core::laws`, which say their oracles. Adding one is one line.
use crate::images;
use crate::kinds::{configs, small, units, with_steps};
use crate::numbers::device;
use mflow_bijectors::{
    BijectorConfig, Diff, FlowConfig, OrthogonalConfig, Params, ScalingConfig,
    SpecialConformalConfig,
};
use mflow_core::laws::{Options, embedding, model};
use mflow_core::{
    Chart, ChartConfig, ChartFrame, ChartedFlow, Charts, Embedding, Graph, GraphFunction,
    Hypersphere, ModelConfig, PaddedFlow, Result,
};
use std::sync::Arc;

fn options<L>() -> Options<L> {
    Options::default().on(device())
}

macro_rules! charts {
    ($($name:ident: $subject:expr;)*) => {
        $(#[test]
        fn $name() {
            if let Err(broken) = embedding::check(stringify!($name), &$subject, &options()) {
                panic!("{broken}");
            }
        })*
    };
}

charts! {
    zero_padding: ChartConfig::ZeroPadding { coordinate_dim: 2, data_dim: 3 };
    circle: spherical(2., &[0.5, -1.], 1);
    circle_in_space: spherical(0.7, &[0.5, -1., 2.], 1);
    two_sphere: spherical(1.5, &[1., 0., -0.3], 2);
    three_sphere: spherical(0.8, &[0., 0.1, 0.2, 0.3], 3);
    three_sphere_in_six_dimensions: spherical(1.3, &[0., 0.1, 0.2, 0.3, -1., 2.], 3);
    torus: ChartConfig::Torus { major: 2., minor: 0.6 };
    flat_torus: ChartConfig::FlatTorus { radii: vec![1., 0.5, 2.] };
    subspace: plane();
    stereographic: ChartConfig::Stereographic { radius: 1.5, center: vec![1., 0., -0.3] };
    stereographic_circle: ChartConfig::Stereographic { radius: 0.5, center: vec![0., 2.] };
    graph_of_a_saddle: graph(Saddle);
    graph_of_a_curve: graph(Curve);
    padded_flow: behind(padded, real_nvp(0));
    padded_flow_with_context: behind(padded, real_nvp(2));
    padded_conformal_flow: behind(padded, conformal());
    sphere_behind_a_flow: behind(on_sphere, real_nvp(0));
    sphere_behind_a_conformal_flow: behind(on_sphere, conformal());
    circle_behind_a_flow: behind(on_circle, real_nvp(2));
}

fn spherical(radius: f64, center: &[f64], dim: usize) -> ChartConfig {
    ChartConfig::Hypersphere { dim, radius, center: center.to_vec() }
}

fn plane() -> ChartConfig {
    let basis = vec![vec![1., 2., 0., -1.], vec![0.5, 0., 3., 1.]];
    ChartConfig::LinearSubspace { basis, offset: vec![1., 0., 2., -1.] }
}

type Built = Result<Arc<dyn Embedding>>;

fn graph<F: GraphFunction + Clone + 'static>(f: F) -> impl Fn(&mut Params<'_>) -> Built {
    move |params| Ok(Arc::new(Graph::new(f.clone(), params.dtype())))
}

/// A saddle over the plane.
#[derive(Clone, Debug)]
pub(crate) struct Saddle;

impl GraphFunction for Saddle {
    fn inputs(&self) -> usize {
        2
    }
    fn outputs(&self) -> usize {
        1
    }
    fn call<T: Diff>(&self, u: &T) -> mflow_bijectors::Result<T> {
        let (a, b) = (u.narrow(0, 1)?, u.narrow(1, 1)?);
        a.mul(&a)?.sub(&b.mul(&b)?)?.scale(0.2)?.add(&a.mul(&b)?.scale(0.1)?)
    }
}

/// A curve in space.
#[derive(Clone, Debug)]
struct Curve;

impl GraphFunction for Curve {
    fn inputs(&self) -> usize {
        1
    }
    fn outputs(&self) -> usize {
        2
    }
    fn call<T: Diff>(&self, u: &T) -> mflow_bijectors::Result<T> {
        T::cat(&[&u.sin()?.scale(0.4)?, &u.mul(u)?.scale(0.1)?])
    }
}

type Over = fn(Arc<dyn mflow_bijectors::Bijector>) -> Built;

/// An embedding over a flow of three features.
fn behind(over: Over, flow: BijectorConfig) -> impl Fn(&mut Params<'_>) -> Built {
    move |params| over(flow.build(params)?)
}

fn padded(f: Arc<dyn mflow_bijectors::Bijector>) -> Built {
    Ok(Arc::new(PaddedFlow::new(f, 2)?))
}

fn on_sphere(f: Arc<dyn mflow_bijectors::Bijector>) -> Built {
    let s = f.signature();
    let chart = Hypersphere::new(2, 1.2, &[0.3, 0., 0.1], s.dtype, &s.device)?;
    assert_eq!(Chart::data_dim(&chart), 3, "all of space");
    Ok(Arc::new(ChartedFlow::over(chart, f)?))
}

/// In the plane of the first two latents.
fn on_circle(f: Arc<dyn mflow_bijectors::Bijector>) -> Built {
    let s = f.signature();
    let chart = Hypersphere::new(1, 1.2, &[0.3, -0.1], s.dtype, &s.device)?;
    Ok(Arc::new(ChartedFlow::over(chart, f)?))
}

fn real_nvp(context: usize) -> BijectorConfig {
    let mut flow = FlowConfig::real_nvp();
    (flow.layers, flow.net.hidden) = (2, 12);
    flow.net.activation = mflow_bijectors::Activation::Silu;
    flow.bijector(3, context).unwrap()
}

fn conformal() -> BijectorConfig {
    let layers = vec![
        BijectorConfig::Scaling(ScalingConfig::new(3)),
        BijectorConfig::Orthogonal(OrthogonalConfig::new(3)),
        BijectorConfig::SpecialConformal(SpecialConformalConfig::new(3)),
    ];
    BijectorConfig::Chain { layers }
}

/// Of images, where the integral over the manifold would take long.
#[test]
fn models_of_images() {
    for config in images::configs() {
        let name = format!("{} of images", config.name());
        let mut options = options().cases(1).gain(0.3).without(model::Law::Integral);
        // The latents of an ambient flow are many.
        options.draws = 10_000;
        if let Err(broken) = model::check(&name, &config, &options) {
            panic!("{broken}");
        }
    }
}

macro_rules! models {
    ($($name:ident: $kind:literal;)*) => {
        $(#[test]
        fn $name() {
            let all: Vec<ModelConfig> =
                every().into_iter().filter(|config| config.name() == $kind).collect();
            assert!(!all.is_empty(), "{} is in the table", $kind);
            for config in all {
                let text = serde_json::to_string(&config.sizes).unwrap();
                let name = format!("{} {:?} {text}", $kind, config.chart());
                let mut options = options().cases(1).gain(0.4);
                if config.sizes.context_dim > 0 && config.normalization().is_some() {
                    // The longest one; the same flows are tried without units and without contexts.
                    options = options.without(model::Law::Integral);
                }
                if let Err(broken) = model::check(&name, &config, &options) {
                    panic!("{broken}");
                }
            }
        })*
    };
}

// Each with and without context and units of data.
models! {
    af: "af";
    fom: "fom";
    m_flow: "m-flow";
    me_flow: "me-flow";
    pie: "pie";
    pae: "pae";
    free_form: "free-form";
    vae: "vae";
    rif: "rif";
    atlas: "atlas";
    free_form_atlas: "free-form-atlas";
    ratio: "ratio";
}

/// Two charts, one beside the other.
fn placed(mut config: ModelConfig) -> ModelConfig {
    let axes = vec![vec![1., 0., 0.], vec![0., 1., 0.], vec![0., 0., 1.]];
    let at = |x: f64| ChartFrame::new(vec![x, 0., 0.], axes.clone(), 1.);
    if let Some(charts) = config.parts.charts_mut() {
        *charts = Charts::Placed(vec![at(-1.5), at(1.5)]);
    }
    config
}

fn every() -> Vec<ModelConfig> {
    let mut all = configs();
    all.extend([
        placed(small(ModelConfig::atlas(3, 2, 2))),
        placed(small(ModelConfig::atlas(3, 1, 2))),
        small(ModelConfig::m_flow(6, 3)).with_context(2),
        placed(with_steps(small(ModelConfig::free_form_atlas(3, 2, 2)), 0)),
        small(ModelConfig::ratio(3, 2)),
        small(ModelConfig::ratio(3, 2)).with_normalization(units(3)),
    ]);
    all
}

/// What the macros make of one line.
mod by_macro {
    use super::*;

    mflow_core::embedding_laws!(line_of_a_chart, plane(), options().cases(1));
    mflow_core::model_laws!(
        line_of_a_model,
        small(ModelConfig::m_flow(3, 2)),
        options().cases(1).gain(0.4)
    );
}
