//! Ready-made flows at their defaults: they build, invert, take a context, and learn.
use crate::numbers::{device, gap, numbers};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use mflow_bijectors::candle::{DType, Tensor};
use mflow_bijectors::{
    Bijector, Direction, FlowConfig, GlowConfig, ImageFlowConfig, Norm, ParamStore,
    SplineFlowConfig, Stream,
};
use std::f64::consts::TAU;
use std::sync::Arc;

fn ready() -> Vec<(&'static str, FlowConfig)> {
    vec![
        ("nsf_coupling", FlowConfig::nsf_coupling()),
        ("nsf_autoregressive", FlowConfig::nsf_autoregressive()),
        ("real_nvp", FlowConfig::real_nvp()),
        ("maf", FlowConfig::maf()),
        ("iaf", FlowConfig::iaf()),
        ("nice", FlowConfig::nice()),
    ]
}

fn noise(purpose: &str, shape: &[usize]) -> Tensor {
    Stream::new(2, purpose).normal_tensor(shape, DType::F32, device()).unwrap()
}

/// `-mean log p` in nats under a standard normal base.
fn nll(flow: &dyn Bijector, x: &Tensor, context: Option<&Tensor>) -> Tensor {
    let latent = flow.inverse(x, context).unwrap();
    let (b, d) = (x.dims()[0], latent.value.dims()[1] as f64);
    let energy = (latent.value.sqr().unwrap().sum(1).unwrap() * 0.5).unwrap();
    assert_eq!(energy.dims(), [b], "one number per row");
    let mean = (energy - latent.log_abs_det).unwrap().mean_all().unwrap();
    (mean + 0.5 * d * TAU.ln()).unwrap()
}

fn value(t: &Tensor) -> f64 {
    numbers(t)[0]
}

#[test]
fn every_ready_made_flow_inverts_at_its_defaults() {
    for (name, config) in ready() {
        for (dim, context) in [(1, 0), (2, 3), (5, 0)] {
            let mut store = ParamStore::new(1, DType::F32, device());
            let flow = store.create(&config.bijector(dim, context).unwrap()).unwrap();
            let c = (context > 0).then(|| noise("context", &[50, context]));
            let z = noise("latents", &[50, dim]);
            let x = flow.forward(&z, c.as_ref()).unwrap();
            let back = flow.inverse(&x.value, c.as_ref()).unwrap();
            assert!(gap(&back.value, &z) < 1e-4, "{name}, {dim}, {context}");
            assert!(gap(&back.log_abs_det, &x.log_abs_det.neg().unwrap()) < 1e-4, "{name}, {dim}");
        }
    }
}

#[test]
fn every_ready_made_flow_learns() {
    // Points near a parabola, far from the normal density that a flow starts with.
    let z = noise("data", &[300, 2]);
    let (a, b) = (z.narrow(1, 0, 1).unwrap(), z.narrow(1, 1, 1).unwrap());
    let curve = ((a.sqr().unwrap() * 0.5).unwrap() + (b * 0.1).unwrap()).unwrap();
    let x = Tensor::cat(&[&a, &curve], 1).unwrap();
    let mut all = ready();
    let mut normed = FlowConfig::maf();
    normed.norm = Norm::ActNorm;
    all.push(("maf with ActNorm", normed));
    for (name, mut config) in all {
        config.net.hidden = 32;
        let mut store = ParamStore::new(1, DType::F32, device());
        let flow: Arc<dyn Bijector> = store.create(&config.bijector(2, 0).unwrap()).unwrap();
        let _ = flow.observe(Direction::Inverse, &x, None).unwrap();
        let before = value(&nll(flow.as_ref(), &x, None));
        let variables = store.parameters().map(|p| p.var.clone()).collect();
        let rate = ParamsAdamW { lr: 1e-2, ..Default::default() };
        let mut adam = AdamW::new(variables, rate).unwrap();
        for _ in 0..60 {
            adam.backward_step(&nll(flow.as_ref(), &x, None)).unwrap();
        }
        let after = value(&nll(flow.as_ref(), &x, None));
        assert!(after.is_finite() && after < before - 0.5, "{name}: from {before} to {after} nats");
    }
}

#[test]
fn glow_normalises_inverts_and_learns() {
    let mut store = ParamStore::new(1, DType::F32, device());
    let config = GlowConfig::new(&[8, 8, 1]).with_depth(2, 2);
    let flow = store.create(&config.bijector(0).unwrap()).unwrap();
    assert_eq!(flow.signature().latent_shape, [64], "latents are vectors");
    assert_eq!(flow.signature().data_shape, [8, 8, 1], "data are images");
    // Stripes of random strength.
    let strength = (noise("strength", &[64, 1, 1, 1]) * 3.).unwrap();
    let stripes: Vec<f32> = (0..64).map(|i| if i % 2 == 0 { 1. } else { -1. }).collect();
    let stripes = Tensor::from_vec(stripes, (1, 8, 8, 1), device()).unwrap();
    let x = strength.broadcast_mul(&stripes).unwrap();
    let x = (x + (noise("grain", &[64, 8, 8, 1]) * 0.3).unwrap()).unwrap();
    let seen = flow.observe(Direction::Inverse, &x, None).unwrap();
    let spread = value(&seen.value.sqr().unwrap().mean_all().unwrap());
    assert!((0.2..3.).contains(&spread), "latents are of unit size: {spread}");
    let back = flow.forward(&seen.value, None).unwrap();
    assert!(gap(&back.value, &x) < 1e-3, "round trip");
    let before = value(&nll(flow.as_ref(), &x, None));
    let variables = store.parameters().map(|p| p.var.clone()).collect();
    let mut adam = AdamW::new(variables, ParamsAdamW { lr: 3e-3, ..Default::default() }).unwrap();
    for _ in 0..10 {
        adam.backward_step(&nll(flow.as_ref(), &x, None)).unwrap();
    }
    let after = value(&nll(flow.as_ref(), &x, None));
    assert!(after < before - 1., "from {before} to {after} nats");
}

/// The first latents are those channels that are mixed, of each level, and they depend on the whole image.
#[test]
fn latents_of_images_begin_with_channels_of_every_level() {
    let config = ImageFlowConfig::new(&[8, 8, 1]).with_depth(2, 1).with_log_tanh(true);
    let latents = |config: &ImageFlowConfig| {
        let mut store = ParamStore::new(1, DType::F64, device());
        let flow = store.create(&config.bijector(0).unwrap()).unwrap();
        let x = noise("images", &[3, 64]).to_dtype(DType::F64).unwrap();
        (flow.inverse(&x, None).unwrap().value, flow.forward(&x, None).unwrap().value)
    };
    let (with, _) = latents(&config.clone().with_mixed(1));
    let (without, _) = latents(&config.clone().with_mixed(0));
    // Level 0 gives out 2 channels of 4 x 4 pixels, level 1 its 8 of 2 x 2; 1 of the former are mixed, 2 of the latter.
    let mixed: Vec<u32> =
        (0..16).map(|p| 2 * p).chain((0..4).flat_map(|p| [32 + 8 * p, 33 + 8 * p])).collect();
    let rest: Vec<u32> = (0..64).filter(|i| !mixed.contains(i)).collect();
    let pick =
        |t: &Tensor, of: &[u32]| t.index_select(&Tensor::new(of, device()).unwrap(), 1).unwrap();
    let tail = with.narrow(1, mixed.len(), rest.len()).unwrap();
    assert!(gap(&tail, &pick(&without, &rest)) < 1e-12, "the others follow in their order");
    // Linear maps start near the identity: what is mixed is log_tanh of what was there.
    let head = with.narrow(1, 0, mixed.len()).unwrap();
    let there = pick(&without, &mixed);
    let expected: Vec<f64> = there.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let found: Vec<f64> = head.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    for (e, f) in expected.iter().zip(&found) {
        let a = 1. - 1_f64.tanh().powi(2);
        let log_tanh =
            if e.abs() < 1. { e.tanh() } else { e.signum() * (1_f64.tanh() + a * e.abs().ln()) };
        assert!((f - log_tanh).abs() < 0.1 * (1. + log_tanh.abs()), "{f} and {log_tanh}");
    }
    let error = config.with_mixed(3).bijector(0).unwrap_err().to_string();
    assert!(
        error.contains("`image.mixed` must leave every level")
            && error.contains("level 0 gives out 2"),
        "{error}"
    );
}

#[test]
fn the_published_spline_flow_is_a_ready_made_one() {
    let published = SplineFlowConfig::default();
    let mut same = FlowConfig::nsf_coupling();
    same.net = mflow_bijectors::NetConfig::new(published.hidden, published.blocks);
    same.linear = published.linear;
    let (bins, tail_bound) = (published.bins, published.tail_bound);
    same.map = mflow_bijectors::UnivariateConfig::RationalQuadratic { bins, tail_bound };
    assert_eq!(same.bijector(3, 2).unwrap(), published.bijector(3, 2).unwrap());
}
