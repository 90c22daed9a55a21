//! The ReLU: smooth pieces are covered by the table of laws; here it sits exactly on its kink.
use crate::cases::{Case, DIRECTIONS, Probe, Subject, evaluate, net, random, small};
use crate::gradients::{gradients, losses, variables};
use crate::numbers::{close, gap_in_all, numbers, tensor};
use mflow_bijectors::candle::Tensor;
use mflow_bijectors::{
    Activation, BijectorConfig, Direction, ElementwiseConfig, Function, FunctionConfig, Mask,
    UnivariateConfig,
};
use std::collections::BTreeMap;

fn case() -> Case {
    let net = net(12, 2, Activation::Relu);
    Case::coupling(small(3, Mask::Even).with_context(2).with_net(net))
}

/// Zero every tensor whose name contains one of `parts`.
fn clear(subject: &Subject, parts: &[&str]) {
    let zero = |(name, t): (String, Tensor)| {
        let hit = parts.iter().any(|part| name.contains(part));
        let t = if hit { t.zeros_like().unwrap() } else { t };
        (name, t)
    };
    let named: BTreeMap<_, _> = subject.store.to_named().unwrap().into_iter().map(zero).collect();
    subject.store.assign(&named).unwrap();
}

#[test]
fn the_derivative_at_the_kink_is_zero() {
    let case = case();
    let subject = Subject::new(&case);
    // Every hidden layer is exactly 0, so that no derivative passes through a block.
    clear(&subject, &["initial", "bias"]);
    for direction in DIRECTIONS {
        for probe in [None, Some(Probe::X), Some(Probe::ALL)] {
            let (inputs, vars) = random(&case, direction, 5).tracked().unwrap();
            let variables = variables(&subject, vars);
            let fused = losses(subject.map.as_ref(), direction, &inputs, probe);
            let plain = losses(subject.composed.as_ref(), direction, &inputs, probe);
            for ((output, a), (_, b)) in fused.iter().zip(&plain) {
                let (a, b) = (gradients(a, &variables), gradients(b, &variables));
                for ((name, _), (a, b)) in variables.iter().zip(a.iter().zip(&b)) {
                    let gap = gap_in_all(a, b);
                    assert!(
                        gap < 1e-11,
                        "{direction:?}, {probe:?}: {output} by {name:?}: {gap:.1e}"
                    );
                }
            }
        }
        let inputs = random(&case, direction, 5);
        let value = losses(subject.map.as_ref(), direction, &inputs, None).remove(0).1;
        let parameter = subject.store.parameters().next().unwrap();
        let gradient = value.backward().unwrap();
        let pieces = parameter.to_named(gradient.get(&parameter.var).unwrap()).unwrap();
        for (name, piece) in pieces {
            let largest = numbers(&piece).iter().fold(0_f64, |m, v| m.max(v.abs()));
            let dead = name.contains("linear.0");
            assert_eq!(
                largest == 0.,
                dead || name.contains("context")
                    || name.contains("linear.1.weight")
                    || name == "net.final.weight",
                "{direction:?}: gradient of {name} at the kink"
            );
        }
    }
}

#[test]
fn kernels_and_compositions_agree_near_the_kink() {
    let case = case();
    let subject = Subject::new(&case);
    clear(&subject, &["net.initial.bias", "linear.0.bias"]);
    for direction in DIRECTIONS {
        let mut inputs = random(&case, direction, 5);
        // Kept features and context of some rows are 0: their first hidden layer is on the kink.
        let rows = Tensor::from_vec(vec![0_u32, 1, 0, 1, 1], (5, 1), inputs.x.device()).unwrap();
        let rows = rows.to_dtype(inputs.x.dtype()).unwrap();
        inputs.x = inputs.x.broadcast_mul(&rows).unwrap();
        inputs.context = inputs.context.map(|c| c.broadcast_mul(&rows).unwrap());
        for probe in [Probe::X, Probe::ALL] {
            let fused = evaluate(subject.frozen.as_ref(), direction, &inputs, Some(probe));
            let plain = evaluate(subject.composed.as_ref(), direction, &inputs, Some(probe));
            for ((output, a), (_, b)) in fused.iter().zip(&plain) {
                close(&format!("{direction:?}, {probe:?}: {output}"), a, b, 1e-11);
            }
        }
    }
}

/// Where a slope jumps, value and log-det still belong together: the derivative given is the one from
/// the left or the one from the right, in both directions and by both routes.
#[test]
fn derivatives_at_jumps_are_one_sided() {
    let tail_bound = 3.;
    let splines = [
        UnivariateConfig::LinearSpline { bins: 4, tail_bound },
        UnivariateConfig::QuadraticSpline { bins: 4, tail_bound },
        UnivariateConfig::CubicSpline { bins: 4, tail_bound },
        UnivariateConfig::RationalQuadratic { bins: 4, tail_bound },
    ];
    let spline = |map| BijectorConfig::Elementwise(ElementwiseConfig::new(&[1], map));
    let function = |f| BijectorConfig::Function(FunctionConfig::new(&[1], f));
    let mut configs: Vec<BijectorConfig> = splines.into_iter().map(spline).collect();
    configs.push(function(Function::LeakyRelu { slope: 0.1 }));
    configs.push(function(Function::LogTanh { cut: 1.5 }));
    for config in configs {
        let case = Case::new(config.clone());
        let subject = Subject::new(&case);
        let points = [-3., -1.5, 0., 1.5, 3.];
        for direction in DIRECTIONS {
            for map in [&subject.map, &subject.composed] {
                let at = |x: f64| {
                    // Where the way back jumps is where the points of the way there end.
                    let x = tensor(vec![x], &[1, 1]);
                    match direction {
                        Direction::Forward => x,
                        Direction::Inverse => map.forward(&x, None).unwrap().value,
                    }
                };
                for x in points {
                    let (x, step) = (at(x), 1e-6);
                    let moved = |by: f64| map.map(direction, &(&x + by).unwrap(), None).unwrap();
                    let value = |by: f64| numbers(&moved(by).value)[0];
                    let slopes =
                        [-1., 1.].map(|side| (value(side * step) - value(0.)) / (side * step));
                    let rows = tensor(vec![1.], &[1, 1, 1]);
                    let dual = mflow_bijectors::Dual::new(x.clone(), rows).unwrap();
                    let pushed = map.push(direction, &dual, None).unwrap();
                    let tangent = numbers(pushed.value.tangents().unwrap())[0];
                    let log_det = numbers(&moved(0.).log_abs_det)[0];
                    let off = |a: f64, b: f64| (a - b).abs() / (1. + b.abs());
                    let near = slopes.iter().any(|s| off(tangent, *s) < 1e-4);
                    let what = format!("{config:?}, {direction:?}, at {:?}", numbers(&x));
                    assert!(near, "{what}: {tangent}, one-sided slopes {slopes:?}");
                    assert!(off(log_det.exp(), tangent) < 1e-9, "{what}: log-det {log_det}");
                }
            }
        }
    }
}
