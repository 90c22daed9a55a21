//! Strategies of proptest for configs: sizes, masks, knots, conditioners, and layers made of them.
use crate::{
    Activation, AffineScale, AutoregressiveConfig, BijectorConfig, CouplingConfig, Mask, NetConfig,
    NetKind, UnivariateConfig,
};
use proptest::prelude::*;

/// Real numbers of about the size of normal ones, few of them far out; they become simpler by shrinking.
pub fn number() -> impl Strategy<Value = f64> {
    prop_oneof![9 => -2.0..2.0, 1 => -7.0..7.0]
}

/// Any mask of `dim` features that moves at least one.
pub fn mask(dim: usize) -> impl Strategy<Value = Mask> {
    let listed = proptest::sample::subsequence((0..dim).collect::<Vec<_>>(), 1..=dim);
    prop_oneof![Just(Mask::Even), Just(Mask::Odd), listed.prop_shuffle().prop_map(Mask::Moved)]
}

/// Any element-wise map of real numbers, with any number of knots or any bounds.
pub fn univariate() -> impl Strategy<Value = UnivariateConfig> {
    let sizes = || (2_usize..=12, 0.3_f64..10.);
    prop_oneof![
        3 => sizes().prop_map(|(b, tail_bound)| {
            UnivariateConfig::RationalQuadratic { bins: b - 1, tail_bound }
        }),
        1 => sizes().prop_map(|(b, tail_bound)| {
            UnivariateConfig::LinearSpline { bins: b - 1, tail_bound }
        }),
        1 => sizes().prop_map(|(bins, tail_bound)| {
            UnivariateConfig::QuadraticSpline { bins, tail_bound }
        }),
        1 => sizes().prop_map(|(b, tail_bound)| {
            UnivariateConfig::CubicSpline { bins: b - 1, tail_bound }
        }),
        1 => (0.1_f64..3.).prop_map(|bound| {
            UnivariateConfig::Affine { scale: AffineScale::Exp { bound } }
        }),
        1 => Just(UnivariateConfig::Affine { scale: AffineScale::Softplus }),
        1 => Just(UnivariateConfig::Additive),
    ]
}

/// Any conditioner of up to 20 hidden features and 2 blocks.
pub fn conditioner() -> impl Strategy<Value = NetConfig> {
    let activation = prop_oneof![
        Just(Activation::Relu),
        Just(Activation::Silu),
        Just(Activation::Tanh),
        Just(Activation::Gelu),
    ];
    let kind = prop_oneof![Just(NetKind::Residual), Just(NetKind::Mlp)];
    (1_usize..=20, 0_usize..=2, activation, kind, any::<bool>()).prop_map(
        |(hidden, blocks, activation, kind, gate)| {
            let mut config =
                NetConfig::new(hidden, blocks).with_activation(activation).with_gate(gate);
            config.kind = kind;
            config
        },
    )
}

/// Couplings of up to 8 features with any mask, and autoregressive layers of up to 5, with up to 3 context features.
pub fn layer() -> impl Strategy<Value = BijectorConfig> {
    let sizes = (1_usize..=8, 0_usize..=3, any::<bool>());
    (sizes, univariate(), conditioner()).prop_flat_map(|((dim, context, coupling), map, net)| {
        mask(dim).prop_map(move |mask| {
            let (map, net) = (map.clone(), net.clone());
            if coupling || dim > 5 {
                let coupling = CouplingConfig::new(dim, mask).with_context(context);
                return BijectorConfig::Coupling(coupling.with_map(map).with_net(net));
            }
            let layer = AutoregressiveConfig::new(dim).with_context(context);
            BijectorConfig::Autoregressive(layer.with_map(map).with_net(net))
        })
    })
}
