//! Properties over random sizes, masks, boxes and knots.
use crate::cases::{Case, DIRECTIONS, Inputs, Probe, Subject, evaluate, net, small};
use crate::gradients::{gradients, losses, variables};
use crate::numbers::{gap, gap_in_all, identity_rows, log_abs_det, numbers, tensor};
use crate::spline::{Oracle, fixed};
use mflow_bijectors::candle::DType;
use mflow_bijectors::{
    Activation, AffineScale, AutoregressiveConfig, Mask, NetConfig, NetKind, Route,
    UnivariateConfig,
};
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngSeed};

/// The same cases in every run; failures are kept in a file beside this one, to be committed.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(20_260),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "tests/it/properties.regressions",
        ))),
        max_shrink_iters: 300,
        ..ProptestConfig::default()
    }
}

fn mask(dim: usize) -> impl Strategy<Value = Mask> {
    let listed = proptest::sample::subsequence((0..dim).collect::<Vec<_>>(), 1..=dim);
    prop_oneof![Just(Mask::Even), Just(Mask::Odd), listed.prop_shuffle().prop_map(Mask::Moved)]
}

/// Any element-wise map, with random knots or bounds.
fn map() -> impl Strategy<Value = UnivariateConfig> {
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

fn conditioner() -> impl Strategy<Value = NetConfig> {
    let activation = prop_oneof![
        Just(Activation::Relu),
        Just(Activation::Silu),
        Just(Activation::Tanh),
        Just(Activation::Gelu),
    ];
    let kind = prop_oneof![Just(NetKind::Residual), Just(NetKind::Mlp)];
    (1_usize..=20, 0_usize..=2, activation, kind, any::<bool>()).prop_map(
        |(hidden, blocks, activation, kind, gate)| {
            let mut config = net(hidden, blocks, activation).with_gate(gate);
            config.kind = kind;
            config
        },
    )
}

/// Couplings of any mask, and autoregressive layers.
fn case() -> impl Strategy<Value = Case> {
    let sizes = (1_usize..=8, 0_usize..=3, 0.1_f64..1.2, any::<bool>());
    (sizes, map(), conditioner()).prop_flat_map(|((dim, context, gain, coupling), map, net)| {
        mask(dim).prop_map(move |mask| {
            let (map, net) = (map.clone(), net.clone());
            if coupling || dim > 5 {
                let coupling = small(dim, mask).with_context(context).with_map(map).with_net(net);
                return Case::coupling(coupling).gain(gain);
            }
            let layer = AutoregressiveConfig::new(dim).with_context(context);
            Case::autoregressive(layer.with_map(map).with_net(net)).gain(0.5 * gain)
        })
    })
}

proptest! {
    #![proptest_config(config(120))]

    #[test]
    fn layers_keep_the_laws(case in case(), rows in 1_usize..=40) {
        let subject = Subject::new(&case);
        let d = case.size();
        for direction in DIRECTIONS {
            let inputs = Inputs::random(&case, direction, rows);
            let c = inputs.context.as_ref();
            let there = subject.map.map(direction, &inputs.x, c).unwrap();
            let back = subject.map.map(direction.reversed(), &there.value, c).unwrap();
            let error = gap(&back.value, &inputs.x);
            prop_assert!(error < 1e-9, "{direction:?}: round trip {error:.1e}");
            let error = gap(&back.log_abs_det, &there.log_abs_det.neg().unwrap());
            prop_assert!(error < 1e-8, "{direction:?}: inverse log-det {error:.1e}");
            let identity = identity_rows(rows, d, DType::F64);
            let identity = Inputs { x_rows: identity, ..inputs.clone() };
            let pushed = evaluate(subject.frozen.as_ref(), direction, &identity, Some(Probe::X));
            let log_det = numbers(&there.log_abs_det);
            for (j, expected) in numbers(&pushed[2].1).chunks_exact(d * d).zip(log_det) {
                let j: Vec<Vec<f64>> = j.chunks_exact(d).map(<[f64]>::to_vec).collect();
                let error = (log_abs_det(&j) - expected).abs() / (1. + expected.abs());
                prop_assert!(error < 1e-9, "{direction:?}: log-det of the Jacobian {error:.1e}");
            }
        }
    }

    #[test]
    fn kernels_equal_compositions(case in case(), rows in 1_usize..=40) {
        let subject = Subject::new(&case);
        let single = subject.single(&case);
        for direction in DIRECTIONS {
            for probe in [None, Some(Probe::X), Some(Probe::ALL)] {
                let free = Inputs::random(&case, direction, rows);
                let (inputs, vars) = free.tracked();
                let variables = variables(&subject, vars);
                let fused = evaluate(subject.frozen.as_ref(), direction, &free, probe);
                let plain = evaluate(subject.frozen_composed.as_ref(), direction, &free, probe);
                for ((output, a), (_, b)) in fused.iter().zip(&plain) {
                    let error = gap(a, b);
                    prop_assert!(error < 1e-8, "{direction:?}, {probe:?}: {output} {error:.1e}");
                }
                let fused = losses(subject.map.as_ref(), direction, &inputs, probe);
                let plain = losses(subject.composed.as_ref(), direction, &inputs, probe);
                for ((output, a), (_, b)) in fused.iter().zip(&plain) {
                    let (a, b) = (gradients(a, &variables), gradients(b, &variables));
                    for ((name, _), (a, b)) in variables.iter().zip(a.iter().zip(&b)) {
                        let error = gap_in_all(a, b);
                        prop_assert!(
                            error < 1e-8,
                            "{direction:?}, {probe:?}: gradient of {output} by {name:?} {error:.1e}"
                        );
                    }
                }
            }
            let inputs = Inputs::random(&case, direction, rows).to(DType::F32);
            let fused = evaluate(single.map.as_ref(), direction, &inputs, None);
            let plain = evaluate(single.composed.as_ref(), direction, &inputs, None);
            for ((output, a), (_, b)) in fused.iter().zip(&plain) {
                let error = gap(a, b);
                prop_assert!(error < 1e-3, "{direction:?}, f32: {output} {error:.1e}");
            }
        }
    }

    #[test]
    fn splines_equal_the_oracle(
        p in (1_usize..=12).prop_flat_map(|bins| prop::collection::vec(-4_f64..4., 3 * bins - 1)),
        bound in 0.1_f64..30.,
        x in prop::collection::vec(-1.3_f64..1.3, 1..40),
    ) {
        let oracle = Oracle::new(bound, 0.5, &p);
        let rows = x.len();
        let x: Vec<f64> = x.iter().map(|x| x * bound).collect();
        for route in [Route::Auto, Route::Composed] {
            let (map, _store) = fixed(1, bound, &p, DType::F64, route);
            for direction in DIRECTIONS {
                let (y, l): (Vec<f64>, Vec<f64>) =
                    x.iter().map(|x| oracle.map(direction, *x)).unzip();
                let mapped = map.map(direction, &tensor(x.clone(), &[rows, 1]), None).unwrap();
                let error = gap(&mapped.value, &tensor(y, &[rows, 1]));
                prop_assert!(error < 1e-9, "{route:?}, {direction:?}: value {error:.1e}");
                let error = gap(&mapped.log_abs_det, &tensor(l, &[rows]));
                prop_assert!(error < 1e-7, "{route:?}, {direction:?}: log-det {error:.1e}");
            }
        }
    }
}
