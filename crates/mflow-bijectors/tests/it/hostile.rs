//! Configs and arguments that nobody would write on purpose: an error or a map, never a panic.
use crate::mutations::mutations;
use crate::numbers::device;
use crate::survival::survives;
use mflow_bijectors::candle::{DType, Tensor};
use mflow_bijectors::{
    AffineScale, Bijector, BijectorConfig, Chain, Concat, Diff, Direction, Domain, FlowConfig,
    GlowConfig, ImageFlowConfig, Init, Layer, Mapped, NetConfig, ParamStore, PartialMap, Piece,
    Result, Signature, SplineFlowConfig, UnivariateConfig,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// Every kind of map, with all of its fields.
fn maps() -> Vec<Value> {
    let net = json!(NetConfig::new(4, 1));
    let spline = json!(UnivariateConfig::RationalQuadratic { bins: 4, tail_bound: 3. });
    let affine = json!(UnivariateConfig::Affine { scale: AffineScale::Exp { bound: 2. } });
    let circular = json!(UnivariateConfig::CircularRationalQuadratic { bins: 4 });
    let coupling = |map: &Value| {
        json!({ "kind": "coupling", "dim": 3, "context_dim": 2, "mask": "even", "map": map, "net": net,
            "identity": spline })
    };
    let reshape = json!({ "kind": "reshape", "latent": [8], "data": [2, 2, 2] });
    let squeeze = json!({ "kind": "squeeze", "shape": [2, 2, 2], "factor": 2 });
    vec![
        coupling(&spline),
        coupling(&affine),
        json!({ "kind": "coupling", "dim": 3, "mask": { "moved": [0, 2] }, "net": net }),
        json!({ "kind": "circular_coupling", "dim": 3, "context_dim": 1, "mask": "odd", "map": circular, "net": net }),
        json!({ "kind": "image_coupling", "shape": [2, 2, 2], "context_dim": 1, "mask": "even", "map": spline,
            "net": net }),
        json!({ "kind": "autoregressive", "dim": 3, "context_dim": 1, "map": spline, "net": net }),
        json!({ "kind": "elementwise", "shape": [2, 2], "map": spline }),
        json!({ "kind": "elementwise", "shape": [2], "map": circular }),
        json!({ "kind": "tanh_mixture", "shape": [2], "components": 2 }),
        json!({ "kind": "residual_block", "dim": 2, "context_dim": 1, "hidden": 4, "layers": 2, "lipschitz": 0.5 }),
        json!({ "kind": "angle_shift", "dim": 2 }),
        json!({ "kind": "permutation", "dim": 3, "order": { "listed": [2, 0, 1] } }),
        json!({ "kind": "permutation", "dim": 3, "order": { "kept_first": { "moved": [1] } } }),
        json!({ "kind": "lu_linear", "dim": 3 }),
        json!({ "kind": "qr_linear", "dim": 3, "reflections": 2 }),
        json!({ "kind": "svd_linear", "dim": 3, "reflections": 2 }),
        json!({ "kind": "orthogonal", "dim": 3, "reflections": 2 }),
        json!({ "kind": "feature_affine", "shift": [0.5, 1.], "scale": [2., 3.] }),
        json!({ "kind": "act_norm", "dim": 2 }),
        json!({ "kind": "batch_norm", "dim": 2 }),
        json!({ "kind": "gaussianize", "dim": 2, "bins": 4, "tail_bound": 3. }),
        json!({ "kind": "scaling", "dim": 2 }),
        json!({ "kind": "special_conformal", "dim": 2 }),
        json!({ "kind": "inversion", "dim": 2 }),
        reshape.clone(),
        squeeze.clone(),
        json!({ "kind": "pixelwise", "height": 2, "width": 2, "of": { "kind": "lu_linear", "dim": 2 } }),
        json!({ "kind": "multiscale", "levels": [squeeze] }),
        json!({ "kind": "concat", "parts": [{ "kind": "lu_linear", "dim": 2 }, { "kind": "act_norm", "dim": 1 }] }),
        json!({ "kind": "partial", "dim": 3, "features": [0, 2], "of": { "kind": "lu_linear", "dim": 2 } }),
        json!({ "kind": "chain", "layers": [reshape, { "kind": "inverted", "of": {
            "kind": "reshape", "latent": [8], "data": [2, 2, 2] } }] }),
    ]
}

fn built(config: &BijectorConfig) -> Option<Arc<dyn Bijector>> {
    ParamStore::new(1, DType::F64, device()).create(config).ok()
}

/// Points of the right shape, none, of another shape, and a number alone, with and without a context.
fn call(map: &dyn Bijector) {
    let signature = map.signature();
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F64, device()).unwrap();
    let c = signature.context_dim.unwrap_or(1);
    for direction in [Direction::Forward, Direction::Inverse] {
        let shape = match direction {
            Direction::Forward => &signature.latent_shape,
            Direction::Inverse => &signature.data_shape,
        };
        for rows in [0, 2] {
            let x = zeros(&[&[rows], shape.as_slice()].concat());
            let x = (x + 0.3).unwrap();
            for context in
                [None, Some(zeros(&[rows, c])), Some(zeros(&[rows + 1, c])), Some(zeros(&[]))]
            {
                let _ = map.map(direction, &x, context.as_ref());
                let _ = map.observe(direction, &x, context.as_ref());
            }
        }
        for x in [zeros(&[]), zeros(shape), zeros(&[1, 1, 1, 1, 1])] {
            let _ = map.map(direction, &x, None);
        }
    }
}

#[test]
fn no_field_of_a_map_makes_it_panic() {
    for config in maps() {
        let map: BijectorConfig = serde_json::from_value(config.clone()).unwrap();
        let map = built(&map).unwrap_or_else(|| panic!("{config} is a map"));
        survives(&config.to_string(), || call(map.as_ref()));
        for (what, changed) in mutations(&config) {
            let what = format!("{config} with {what}");
            survives(&what, || {
                let Ok(changed) = serde_json::from_value(changed) else { return };
                if let Some(map) = built(&changed) {
                    call(map.as_ref());
                }
            });
        }
    }
}

#[test]
fn no_field_of_a_flow_makes_it_panic() {
    let mut spline = SplineFlowConfig::default();
    (spline.layers, spline.hidden, spline.blocks, spline.gaussianize) = (1, 4, 1, true);
    let mut layers = FlowConfig::nsf_autoregressive();
    (layers.layers, layers.net) = (1, NetConfig::new(4, 1));
    let image = ImageFlowConfig::new(&[4, 4, 1]).with_depth(1, 1).with_net(NetConfig::new(4, 1));
    let glow = GlowConfig::new(&[4, 4, 1]).with_depth(1, 1).with_net(NetConfig::new(4, 1));
    let dims = [0, 1, 2, 1 << 40, usize::MAX];
    let each = |what: &str,
                config: Value,
                flow: &dyn Fn(Value, usize, usize) -> Option<BijectorConfig>| {
        let same = ("as it is".to_owned(), config.clone());
        for (change, config) in mutations(&config).into_iter().chain([same]) {
            for (dim, context) in dims.iter().map(|d| (*d, 0)).chain([(2, 1), (2, usize::MAX)]) {
                let what = format!("{what} of {dim} features given {context} with {change}");
                survives(&what, || {
                    flow(config.clone(), dim, context).and_then(|flow| built(&flow))
                });
            }
        }
    };
    each("spline", json!(spline), &|config, dim, context| {
        serde_json::from_value::<SplineFlowConfig>(config).ok()?.bijector(dim, context).ok()
    });
    each("layers", json!(layers), &|config, dim, context| {
        serde_json::from_value::<FlowConfig>(config).ok()?.bijector(dim, context).ok()
    });
    each("image", json!(image), &|config, _, context| {
        serde_json::from_value::<ImageFlowConfig>(config).ok()?.bijector(context).ok()
    });
    each("glow", json!(glow), &|config, _, context| {
        serde_json::from_value::<GlowConfig>(config).ok()?.bijector(context).ok()
    });
}

#[test]
fn counts_beyond_memory_are_refused_by_name() {
    let error = |config: &Value| {
        let config: BijectorConfig = serde_json::from_value(config.clone()).unwrap();
        ParamStore::new(1, DType::F64, device()).create(&config).unwrap_err().to_string()
    };
    let found = error(&json!({ "kind": "act_norm", "dim": 1_u64 << 40 }));
    assert!(found.contains("act_norm.dim") && found.contains("at most"), "{found}");
    let found = error(&json!({ "kind": "lu_linear", "dim": 1 << 20 }));
    assert!(found.contains("lu_linear.dim") && found.contains("at most 32768"), "{found}");
    let piece = Piece::weight("w", 1 << 40, 1 << 40, Init::Constant(0.));
    let built = ParamStore::new(1, DType::F64, device()).build(|_| true, |p| p.flat(vec![piece]));
    let found = built.unwrap_err().to_string();
    assert!(found.contains("more than"), "{found}");
}

/// A map of one's own that says too little of where its points end.
#[derive(Debug)]
struct Featureless(Signature);

impl Layer for Featureless {
    fn signature(&self) -> &Signature {
        &self.0
    }
    fn apply<T: Diff>(&self, _: Direction, x: &T, _: Option<&T>) -> Result<Mapped<T>> {
        Ok(Mapped { value: x.clone(), log_abs_det: x.sum_last()? })
    }
}

#[test]
fn a_map_that_ends_in_a_domain_of_no_features_makes_no_chain_panic() {
    let of = |latent: Domain, data: Domain| {
        let signature = Signature::vector(2, DType::F64, device()).between(latent, data);
        Arc::new(Featureless(signature)) as Arc<dyn Bijector>
    };
    let none = || Domain::Features(vec![]);
    let some = || Domain::Features(vec![Domain::Any, Domain::Reals]);
    for (first, second) in [(none(), some()), (some(), none()), (none(), none())] {
        let what = format!("{first} before {second}");
        survives(&what, || {
            let parts = vec![of(Domain::Reals, first), of(Domain::Any, second)];
            let _ = Chain::new(parts.clone());
            let _ = PartialMap::new(4, &[0, 3], parts[0].clone());
            let _ = Concat::new(parts);
        });
    }
}
