//! Configs as files hold them, and what all public types promise.
use crate::cases::{net, small, small_flow};
use crate::numbers::device;
use mflow_bijectors::candle::DType;
use mflow_bijectors::{
    Activation, AffineScale, Bijector, BijectorConfig, Chain, CouplingConfig, Direction, Domain,
    Dual, ElementwiseConfig, Error, FeatureAffineConfig, FlowConfig, Function, FunctionConfig,
    GlowConfig, LinearKind, LuLinearConfig, Mapped, Mask, ParamStore, PermutationConfig, Result,
    Route, SplineFlowConfig, UnivariateConfig,
};
use std::sync::Arc;

fn permutation(dim: usize) -> BijectorConfig {
    BijectorConfig::Permutation(PermutationConfig::new(dim))
}

fn build(config: &BijectorConfig) -> Result<Arc<dyn Bijector>> {
    ParamStore::new(1, DType::F64, device()).build(|_| true, |p| config.build(p))
}

fn message(config: &BijectorConfig) -> String {
    match build(config) {
        Err(e @ Error::Config { .. }) => e.to_string(),
        other => panic!("{config:?} is refused as a config, not {other:?}"),
    }
}

#[test]
fn json_round_trips() {
    let affine = FeatureAffineConfig::new(vec![0.1, -1. / 3.], vec![1e-3, 2.]);
    let coupling = CouplingConfig::new(3, Mask::Moved(vec![2, 0]))
        .with_context(2)
        .with_bins(7, 2.5)
        .with_net(net(9, 1, Activation::Tanh))
        .with_route(Route::Composed);
    let mut flow = small_flow();
    flow.linear = LinearKind::Lu;
    let all = [
        permutation(3),
        BijectorConfig::LuLinear(LuLinearConfig::new(4)),
        BijectorConfig::FeatureAffine(affine),
        BijectorConfig::Coupling(coupling),
        BijectorConfig::Coupling(small(2, Mask::Even)),
        flow.bijector(3, 1).unwrap(),
        SplineFlowConfig::default().bijector(2, 0).unwrap(),
    ];
    for config in all {
        let text = serde_json::to_string(&config).unwrap();
        let back: BijectorConfig = serde_json::from_str(&text).unwrap();
        assert_eq!(back, config, "{text}");
    }
    let text = serde_json::to_string(&flow).unwrap();
    let back: SplineFlowConfig = serde_json::from_str(&text).unwrap();
    assert_eq!(back, flow, "{text}");
}

#[test]
fn files_may_leave_out_what_has_a_default() {
    let text = r#"{"kind": "coupling", "dim": 3, "mask": "odd"}"#;
    let config: BijectorConfig = serde_json::from_str(text).unwrap();
    let expected = BijectorConfig::Coupling(CouplingConfig::new(3, Mask::Odd));
    assert_eq!(config, expected, "10 bins on ±6, width 100, 2 blocks, ReLU, no context");
    let text = r#"{"kind": "coupling", "dim": 3, "mask": {"moved": [1]},
        "net": {"hidden": 8, "activation": "silu"}}"#;
    let config: BijectorConfig = serde_json::from_str(text).unwrap();
    let coupling = CouplingConfig::new(3, Mask::Moved(vec![1]));
    let coupling = coupling.with_net(net(8, 2, Activation::Silu));
    assert_eq!(config, BijectorConfig::Coupling(coupling), "also inside of the network");
    let flow: SplineFlowConfig = serde_json::from_str("{}").unwrap();
    assert_eq!(flow, SplineFlowConfig::default(), "a flow has a default for everything");
    assert_eq!((flow.layers, flow.bins, flow.tail_bound), (5, 10, 6.), "the published numbers");
    assert_eq!((flow.hidden, flow.blocks), (100, 2), "the published numbers");
    assert_eq!(flow.activation, Activation::Relu, "the published activation");
}

#[test]
fn unknown_keys_are_refused() {
    for text in [
        r#"{"kind": "coupling", "dim": 3, "mask": "odd", "binz": 4}"#,
        r#"{"kind": "coupling", "dim": 3, "mask": "odd", "net": {"hiden": 4}}"#,
        r#"{"kind": "coupling", "dim": 3, "mask": "some"}"#,
        r#"{"kind": "permutation", "dim": 3, "seed": 4}"#,
        r#"{"kind": "lu_linear", "dim": 3, "bias": true}"#,
        r#"{"kind": "feature_affine", "shift": [0], "scale": [1], "dim": 1}"#,
        r#"{"kind": "chain", "layers": [{"kind": "permutation", "dim": 3}], "extra": 1}"#,
        r#"{"kind": "inverted", "of": {"kind": "permutation", "dim": 3}, "extra": 1}"#,
        r#"{"kind": "inverted", "of": {"kind": "permutation", "dim": 3, "extra": 1}}"#,
        r#"{"kind": "made_up", "dim": 3}"#,
        r#"{"dim": 3}"#,
    ] {
        let parsed = serde_json::from_str::<BijectorConfig>(text);
        assert!(parsed.is_err(), "{text} is refused, not read as {parsed:?}");
    }
    let flow = serde_json::from_str::<SplineFlowConfig>(r#"{"layer": 3}"#);
    assert!(flow.is_err(), "a flow refuses unknown keys");
}

#[test]
fn fields_out_of_range_are_refused() {
    let coupling = |c: CouplingConfig| message(&BijectorConfig::Coupling(c));
    let ok = || small(3, Mask::Even);
    let affine = |shift: &[f64], scale: &[f64]| {
        let config = FeatureAffineConfig::new(shift.to_vec(), scale.to_vec());
        message(&BijectorConfig::FeatureAffine(config))
    };
    for (found, expected) in [
        (coupling(ok().with_bins(0, 3.)), "`spline.bins` must be in 1..1000, found 0"),
        (coupling(ok().with_bins(1000, 3.)), "`spline.bins` must be in 1..1000, found 1000"),
        (
            coupling(ok().with_bins(5, -1.)),
            "`spline.tail_bound` must be positive and finite, found -1",
        ),
        (
            coupling(ok().with_bins(5, 0.)),
            "`spline.tail_bound` must be positive and finite, found 0",
        ),
        (
            coupling(ok().with_bins(5, f64::NAN)),
            "`spline.tail_bound` must be positive and finite, found NaN",
        ),
        (
            coupling(ok().with_bins(5, f64::INFINITY)),
            "`spline.tail_bound` must be positive and finite, found inf",
        ),
        (coupling(small(0, Mask::Even)), "`coupling.dim` must be positive, found 0"),
        (
            coupling(ok().with_net(net(0, 1, Activation::Relu))),
            "`coupling.net.hidden` must be positive, found 0",
        ),
        (
            coupling(small(3, Mask::Moved(vec![3]))),
            "`coupling.mask.moved` must list distinct features below 3, found [3]",
        ),
        (
            coupling(small(3, Mask::Moved(vec![1, 1]))),
            "`coupling.mask.moved` must list distinct features below 3, found [1, 1]",
        ),
        (
            coupling(small(3, Mask::Moved(vec![]))),
            "`coupling.mask.moved` must list distinct features below 3, found []",
        ),
        (
            coupling(small(1, Mask::Moved(vec![1]))),
            "`coupling.mask.moved` must list distinct features below 1, found [1]",
        ),
        (message(&permutation(0)), "`permutation.dim` must be positive, found 0"),
        (
            message(&BijectorConfig::LuLinear(LuLinearConfig::new(0))),
            "`lu_linear.dim` must be positive, found 0",
        ),
        (
            affine(&[1.], &[1., 2.]),
            "`feature_affine.scale` must be as long as `shift` and not empty, found 2 and 1",
        ),
        (
            affine(&[], &[]),
            "`feature_affine.scale` must be as long as `shift` and not empty, found 0 and 0",
        ),
        (
            affine(&[0., 0.], &[1., -2.]),
            "`feature_affine.scale` must be positive and finite, found -2 at 1",
        ),
        (
            affine(&[0.], &[f64::NAN]),
            "`feature_affine.scale` must be positive and finite, found NaN at 0",
        ),
        (affine(&[f64::INFINITY], &[1.]), "`feature_affine.shift` must be finite, found inf at 0"),
        (message(&BijectorConfig::Chain { layers: vec![] }), "`chain.layers` must not be empty"),
    ] {
        assert_eq!(found, format!("invalid config: {expected}"), "the whole message");
    }
    let mut none = SplineFlowConfig::default();
    none.layers = 0;
    let message = none.bijector(3, 0).map(|_| ()).unwrap_err().to_string();
    assert_eq!(message, "invalid config: `layers` must be positive, found 0", "a flow of nothing");
}

/// Every field of every other config, with the whole message.
#[test]
fn fields_of_every_map_are_checked() {
    use UnivariateConfig::{
        Affine, CircularRationalQuadratic, CubicSpline, LinearSpline, QuadraticSpline,
    };
    let json =
        |text: &str| message(&serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}")));
    let coupling = |map| message(&BijectorConfig::Coupling(small(3, Mask::Even).with_map(map)));
    let tail_bound = 3.;
    for (found, expected) in [
        (
            coupling(LinearSpline { bins: 0, tail_bound }),
            "`spline.bins` must be in 1..1000, found 0",
        ),
        (
            coupling(QuadraticSpline { bins: 1, tail_bound }),
            "`spline.bins` must be in 2..1000, found 1",
        ),
        (
            coupling(CubicSpline { bins: 4, tail_bound: f64::NAN }),
            "`spline.tail_bound` must be positive and finite, found NaN",
        ),
        (
            coupling(Affine { scale: AffineScale::Exp { bound: 0. } }),
            "`affine.scale.exp.bound` must be positive and finite, found 0",
        ),
        (
            coupling(CircularRationalQuadratic { bins: 4 }),
            "`coupling.map` must be a map of real numbers, found one of angles",
        ),
        (
            json(
                r#"{"kind": "circular_coupling", "dim": 2, "mask": "odd",
                "map": {"kind": "rational_quadratic", "bins": 4, "tail_bound": 3}}"#,
            ),
            "`circular_coupling.map` must be a map of angles or `additive`, found one of the reals: \
             the ends of the circle would be torn apart",
        ),
        (
            json(
                r#"{"kind": "circular_coupling", "dim": 0, "mask": "odd",
                "map": {"kind": "additive"}}"#,
            ),
            "`circular_coupling.dim` must be positive, found 0",
        ),
        (
            json(r#"{"kind": "autoregressive", "dim": 0}"#),
            "`autoregressive.dim` must be positive, found 0",
        ),
        (
            json(r#"{"kind": "autoregressive", "dim": 2, "net": {"hidden": 0}}"#),
            "`autoregressive.net.hidden` must be positive, found 0",
        ),
        (
            json(r#"{"kind": "coupling", "dim": 2, "mask": "odd", "net": {"dropout": 1}}"#),
            "`coupling.net.dropout` must be in [0, 1), found 1",
        ),
        (
            json(r#"{"kind": "image_coupling", "shape": [2, 2, 1], "mask": "odd"}"#),
            "`image_coupling.shape` must have 2 channels or more, \
             found [2, 2, 1]",
        ),
        (
            json(r#"{"kind": "image_coupling", "shape": [2, 2, 2], "mask": {"moved": [0, 1]}}"#),
            "`image_coupling.mask` must keep a channel, found that all move",
        ),
        (
            json(r#"{"kind": "elementwise", "shape": []}"#),
            "`elementwise.shape` must have one axis or more, all positive, and fit in 32 bits, \
             found []",
        ),
        (
            json(
                r#"{"kind": "function", "shape": [2], "function": {"leaky_relu": {"slope": -1}}}"#,
            ),
            "`function.leaky_relu.slope` must be positive and finite, found -1",
        ),
        (
            json(r#"{"kind": "function", "shape": [2], "function": {"log_tanh": {"cut": 0}}}"#),
            "`function.log_tanh.cut` must be positive and finite, found 0",
        ),
        (
            json(
                r#"{"kind": "function", "shape": [2], "function": {"affine": {"shift": 0, "scale": 0}}}"#,
            ),
            "`function.affine.scale` must be finite and not 0, found 0",
        ),
        (
            json(r#"{"kind": "permutation", "dim": 3, "order": {"listed": [0, 0, 1]}}"#),
            "`permutation.order.listed` must list each of 0..3 once, found [0, 0, 1]",
        ),
        (
            json(r#"{"kind": "qr_linear", "dim": 3, "reflections": 0}"#),
            "`qr_linear.reflections` must be positive, found 0",
        ),
        (
            json(r#"{"kind": "svd_linear", "dim": 0, "reflections": 2}"#),
            "`svd_linear.dim` must be positive, found 0",
        ),
        (
            json(r#"{"kind": "orthogonal", "dim": 2, "reflections": 0}"#),
            "`orthogonal.reflections` must be positive, found 0",
        ),
        (json(r#"{"kind": "act_norm", "dim": 0}"#), "`act_norm.dim` must be positive, found 0"),
        (json(r#"{"kind": "batch_norm", "dim": 0}"#), "`batch_norm.dim` must be positive, found 0"),
        (
            json(r#"{"kind": "batch_norm", "dim": 2, "momentum": 0}"#),
            "`batch_norm.momentum` must be in (0, 1], found 0",
        ),
        (
            json(r#"{"kind": "batch_norm", "dim": 2, "epsilon": 1}"#),
            "`batch_norm.epsilon` must be in (0, 1), found 1",
        ),
        (json(r#"{"kind": "scaling", "dim": 0}"#), "`scaling.dim` must be positive, found 0"),
        (json(r#"{"kind": "inversion", "dim": 0}"#), "`inversion.dim` must be positive, found 0"),
        (
            json(r#"{"kind": "special_conformal", "dim": 0}"#),
            "`special_conformal.dim` must be positive, found 0",
        ),
        (
            json(r#"{"kind": "angle_shift", "dim": 0}"#),
            "`angle_shift.dim` must be positive, found 0",
        ),
        (
            json(r#"{"kind": "tanh_mixture", "shape": [2], "components": 0}"#),
            "`tanh_mixture.components` must be positive, found 0",
        ),
        (
            json(r#"{"kind": "residual_block", "dim": 2, "lipschitz": 1}"#),
            "`residual_block.lipschitz` must be between 0 and 1, found 1",
        ),
        (
            json(r#"{"kind": "residual_block", "dim": 2, "layers": 0}"#),
            "`residual_block.layers` must be positive, found 0",
        ),
        (
            json(r#"{"kind": "reshape", "latent": [2, 3], "data": [5]}"#),
            "`reshape.data` must have as many elements as [2, 3], found [5]",
        ),
        (
            json(r#"{"kind": "squeeze", "shape": [4, 4]}"#),
            "`squeeze.shape` must be [height, width, channels], found [4, 4]",
        ),
        (
            json(r#"{"kind": "squeeze", "shape": [4, 3, 1]}"#),
            "`squeeze.factor` must divide height 4 and width 3, found 2",
        ),
        (
            json(
                r#"{"kind": "pixelwise", "height": 0, "width": 2, "of": {"kind": "scaling", "dim": 2}}"#,
            ),
            "`pixelwise.height` must be positive, found 0",
        ),
        (
            json(
                r#"{"kind": "pixelwise", "height": 2, "width": 2, "of": {"kind": "squeeze", "shape": [2, 2, 1]}}"#,
            ),
            "`pixelwise.of` must be a map of vectors without context, found [2, 2, 1] to [1, 1, 4], \
             context None",
        ),
        (
            json(
                r#"{"kind": "partial", "dim": 3, "features": [3], "of": {"kind": "scaling", "dim": 1}}"#,
            ),
            "`partial.features` must list distinct features below 3, found [3]",
        ),
        (
            json(
                r#"{"kind": "partial", "dim": 3, "features": [1], "of": {"kind": "scaling", "dim": 2}}"#,
            ),
            "`partial.of` must be a map of vectors of 1 features, found [2] to [2]",
        ),
        (json(r#"{"kind": "concat", "parts": []}"#), "`concat.parts` must not be empty"),
        (json(r#"{"kind": "multiscale", "levels": []}"#), "`multiscale.levels` must not be empty"),
        (
            json(
                r#"{"kind": "multiscale", "levels": [{"kind": "squeeze", "shape": [4, 4, 1]},
                {"kind": "squeeze", "shape": [2, 2, 4]}]}"#,
            ),
            "`multiscale.levels` must fit: level 1 is handed [2, 2, 2] in any and starts from \
             [2, 2, 4] in any",
        ),
    ] {
        assert_eq!(found, format!("invalid config: {expected}"), "the whole message");
    }
    let glow =
        |shape: &[usize]| GlowConfig::new(shape).bijector(0).map(|_| ()).unwrap_err().to_string();
    let expected = "invalid config: `glow.shape` must have sides that are multiples of 2^2, found \
                    [6, 4, 3]";
    assert_eq!(glow(&[6, 4, 3]), expected, "images that cannot be halved twice");
    let flow = {
        let mut flow = FlowConfig::maf();
        flow.layers = 0;
        flow.bijector(2, 0).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(flow, "invalid config: `layers` must be positive, found 0", "a flow of nothing");
}

#[test]
fn domains_must_fit() {
    let function = |function| BijectorConfig::Function(FunctionConfig::new(&[2], function));
    let circular = || {
        let map = UnivariateConfig::CircularRationalQuadratic { bins: 3 };
        BijectorConfig::Elementwise(ElementwiseConfig::new(&[2], map))
    };
    let chain = |layers: Vec<BijectorConfig>| BijectorConfig::Chain { layers };
    let misfit = message(&chain(vec![
        function(Function::Sigmoid),
        permutation(2),
        function(Function::Tanh),
    ]));
    let expected = "invalid config: `chain.layers` must fit: the layers before layer 2 end in the \
                    interval (0, 1), it starts from the reals";
    assert_eq!(misfit, expected, "through a permutation");
    let misfit = message(&chain(vec![circular(), function(Function::Tanh)]));
    assert!(misfit.contains("end in angles, it starts from the reals"), "{misfit}");
    let logit = BijectorConfig::Inverted { of: Box::new(function(Function::Sigmoid)) };
    let fits = chain(vec![
        function(Function::Sigmoid),
        permutation(2),
        logit,
        function(Function::Softplus),
    ]);
    let signature = build(&fits).unwrap().signature().clone();
    assert_eq!(signature.latent_domain, Domain::Reals, "of the first layer");
    assert_eq!(signature.data_domain, Domain::Positive, "of the last layer");
    let signature = build(&chain(vec![permutation(2), circular()])).unwrap().signature().clone();
    assert_eq!(signature.latent_domain, Domain::Angle, "a permutation takes what comes after it");
    let parts = vec![circular(), function(Function::Softplus)];
    let signature = build(&BijectorConfig::Concat { parts }).unwrap().signature().clone();
    let each = vec![Domain::Angle, Domain::Angle, Domain::Positive, Domain::Positive];
    assert_eq!(signature.data_domain, Domain::Features(each), "feature by feature");
}

#[test]
fn chains_must_fit() {
    let chain = |layers: Vec<BijectorConfig>| message(&BijectorConfig::Chain { layers });
    let misfit = chain(vec![permutation(3), permutation(3), permutation(2)]);
    let expected = "invalid config: `chain.layers` must fit: layer 1 ends in shape [3], \
                    layer 2 starts from [2]";
    assert_eq!(misfit, expected, "dimensions, with the place");
    let with = |c: usize| BijectorConfig::Coupling(small(3, Mask::Even).with_context(c));
    let context = chain(vec![with(2), permutation(3), with(1)]);
    assert!(context.contains("number of context features"), "context sizes: {context}");
    assert!(context.contains('2') && context.contains('1'), "with both: {context}");
    let nested = BijectorConfig::Chain { layers: vec![permutation(3), with(0), permutation(0)] };
    let nested = chain(vec![permutation(3), BijectorConfig::Inverted { of: Box::new(nested) }]);
    let expected = "invalid config: `layers.1.layers.2.permutation.dim` must be positive, found 0";
    assert_eq!(nested, expected, "a field inside is named by its path");
    let of = |dtype: DType| {
        ParamStore::new(1, dtype, device()).build(|_| true, |p| permutation(3).build(p)).unwrap()
    };
    let mixed = Chain::new(vec![of(DType::F64), of(DType::F32)]).map(|_| ()).unwrap_err();
    assert!(mixed.to_string().contains("layer 1 F32"), "dtypes, with the place: {mixed}");
}

#[test]
fn a_flow_alternates_and_is_inverted() {
    let mut config = small_flow();
    config.layers = 2;
    let BijectorConfig::Inverted { of } = config.bijector(3, 2).unwrap() else {
        panic!("the flow is the inverse of its chain");
    };
    let BijectorConfig::Chain { layers } = *of else { panic!("of a chain") };
    let coupling = |mask| {
        BijectorConfig::Coupling(small(3, mask).with_context(2).with_net(net(
            16,
            2,
            Activation::Silu,
        )))
    };
    let expected =
        [permutation(3), coupling(Mask::Even), permutation(3), coupling(Mask::Odd), permutation(3)];
    assert_eq!(layers, expected, "as published, from data to latent");
}

#[test]
fn every_config_type_builds_the_same_in_both_ways() {
    let signature = |config: &BijectorConfig| build(config).unwrap().signature().clone();
    let s = signature(&SplineFlowConfig::default().bijector(4, 3).unwrap());
    assert_eq!((s.latent_shape, s.data_shape), (vec![4], vec![4]), "shapes of a flow");
    assert_eq!((s.context_dim, s.dtype), (Some(3), DType::F64), "its context and dtype");
    let s = signature(&SplineFlowConfig::default().bijector(4, 0).unwrap());
    assert_eq!(s.context_dim, None, "no context is none, not zero features");
}

/// Every public type is `Debug`, `Send` and `Sync`, so that maps can be shared between threads.
#[test]
fn public_types_are_debug_send_and_sync() {
    fn ok<T: std::fmt::Debug + Send + Sync + 'static>() {}
    macro_rules! all {
        ($($t:ident)*) => { $(ok::<mflow_bijectors::$t>();)* };
    }
    all! {
        ActNorm ActNormConfig Activation Additive Affine AffineScale AngleShift AngleShiftConfig
        AutoregressiveConfig BatchNorm BatchNormConfig BijectorConfig Chain CircularCouplingConfig Concat
        CouplingConfig CubicSpline Dependence Direction Domain Dual ElementwiseConfig
        Error Fast FeatureAffine FeatureAffineConfig FlowConfig Function FunctionConfig FunctionMap
        Gaussianize GaussianizeConfig
        GlowConfig Gradient Grid ImageCouplingConfig ImageFlowConfig Init Inversion InversionConfig Inverted Linear
        LinearKind LinearSpline LogSlopeGradient LuLinear LuLinearConfig Mask Multiscale Net NetConfig
        NetKind Noise Norm Order Orthogonal OrthogonalConfig ParamStore Parameter PartialMap
        Permutation PermutationConfig Piece Pixelwise Pushed QrLinear QrLinearConfig QuadraticSpline
        RationalQuadratic Reshape ReshapeConfig ResidualBlock ResidualBlockConfig Route Scaling
        ScalingConfig Signature SpecialConformal SpecialConformalConfig SplineFlowConfig Squeeze
        SqueezeConfig Stream SvdLinear SvdLinearConfig TanhMixture TanhMixtureConfig UnivariateConfig
    }
    ok::<Arc<dyn Bijector>>();
    ok::<Mapped>();
    ok::<Mapped<Dual>>();
    ok::<mflow_bijectors::Conditioned<Dual>>();
    ok::<mflow_bijectors::Jet<f64>>();
    ok::<mflow_bijectors::Point<f64>>();
    assert_eq!(Direction::Forward.reversed(), Direction::Inverse, "and directions reverse");
    assert_eq!(Direction::Inverse.reversed(), Direction::Forward, "both ways");
}
