//! Laws at the ends of domains: far out, at bounds, next to nothing, and at NaN.
use crate::cases::{Case, Inputs, Probe, Subject, evaluate};
use crate::numbers::{device, identity_rows, numbers, tensor};
use mflow_bijectors::candle::{DType, Tensor};
use mflow_bijectors::{
    BijectorConfig, Direction, Domain, Function, FunctionConfig, InversionConfig, ParamStore,
    SpecialConformalConfig,
};
use std::collections::BTreeMap;

/// Numbers of a domain at which arithmetic goes wrong first.
fn extreme(domain: &Domain) -> Vec<f64> {
    match domain {
        Domain::Positive => vec![1e-300, 5e-324, 1e-10, 1., 40., 1e6],
        Domain::Interval { low, high } => {
            let at = |share: f64| low + (high - low) * share;
            let all = [at(1e-300), at(1e-12), at(0.5), at(1. - 1e-12), at(1. - 1.2e-16)];
            all.into_iter().filter(|v| low < v && v < high).collect()
        }
        Domain::Angle => {
            let pi = std::f64::consts::PI;
            vec![-pi, pi, pi - 1e-15, 0., 5e-324, -1e-310, 3.1]
        }
        // The pole of the inversion is the origin, that of the other one is not met by chance.
        Domain::RealsExceptPole => vec![1e6, -1e6, 1e3, -40., 0.01],
        _ => vec![
            1e6,
            -1e6,
            1e3,
            -40.,
            40.,
            0.,
            5e-324,
            -1e-310,
            2.5e-308,
            3.,
            -3.,
            3.000_000_000_000_001,
            -2.999_999_999_999_999_6,
            0.7,
            25.,
            -6.,
        ],
    }
}

fn domain(case: &Case, direction: Direction) -> &Domain {
    match direction {
        Direction::Forward => &case.signature.latent_domain,
        Direction::Inverse => &case.signature.data_domain,
    }
}

fn of_feature(domain: &Domain, i: usize) -> &Domain {
    match domain {
        Domain::Features(each) => &each[i],
        all => all,
    }
}

/// Random points with one extreme feature each, and points with nothing else.
fn points(case: &Case, direction: Direction) -> Inputs {
    let (d, domain) = (case.size(), domain(case, direction));
    let within = |v: f64| v.clamp(-case.reach, case.reach);
    let kind = |i| extreme(of_feature(domain, i)).into_iter().map(within).collect();
    let mut kinds: Vec<Vec<f64>> = (0..d).map(kind).collect();
    let most = kinds.iter().map(Vec::len).max().unwrap();
    kinds.iter_mut().for_each(|k| *k = k.iter().copied().cycle().take(most).collect());
    let rows = 2 * most;
    let inputs = Inputs::random(case, direction, rows);
    let mut x = numbers(&inputs.x);
    for n in 0..most {
        let feature = n % d;
        x[n * d + feature] = kinds[feature][n];
        for i in 0..d {
            x[(most + n) * d + i] = kinds[i][(n + i) % most];
        }
    }
    Inputs { x: tensor(x, inputs.x.dims()), ..inputs }
}

fn contains(domain: &Domain, v: f64) -> bool {
    match domain {
        Domain::Positive => v >= 0.,
        Domain::Interval { low, high } => (*low..=*high).contains(&v),
        Domain::Angle => v.abs() <= std::f64::consts::PI * (1. + 4. * f64::EPSILON),
        _ => true,
    }
}

/// Values are numbers of the codomain, log-dets are numbers, and the way back loses no more than
/// rounding times its steepness.
pub(crate) fn are_survived(at: &str, case: &Case, subject: &Subject, direction: Direction) {
    let inputs = points(case, direction);
    let (c, d, rows) = (inputs.context.as_ref(), case.size(), inputs.x.dim(0).unwrap());
    let eye = identity_rows(rows, d, DType::F64);
    let eye = eye.reshape([&[rows, d], case.shape(direction.reversed())].concat()).unwrap();
    let x = numbers(&inputs.x);
    for (route, map) in [("fused", &subject.map), ("composed", &subject.composed)] {
        let there = map.map(direction, &inputs.x, c).unwrap();
        let (y, l) = (numbers(&there.value), numbers(&there.log_abs_det));
        let back = map.map(direction.reversed(), &there.value, c).unwrap();
        let (back, back_l) = (numbers(&back.value), numbers(&back.log_abs_det));
        let identity = Inputs { x: there.value.clone(), x_rows: eye.clone(), ..inputs.clone() };
        let outputs =
            evaluate(subject.frozen.as_ref(), direction.reversed(), &identity, Some(Probe::X));
        let j = numbers(&outputs[2].1);
        let codomain = domain(case, direction.reversed());
        for b in 0..rows {
            let (row, all) = (b * d..(b + 1) * d, &x[b * d..(b + 1) * d]);
            let what = format!("{at}, {route}, at {all:?}");
            assert!(y[row.clone()].iter().all(|v| v.is_finite()), "{what}: {:?}", &y[row.clone()]);
            assert!(l[b].is_finite(), "{what}: log-det {}", l[b]);
            for (i, v) in y[row.clone()].iter().enumerate() {
                assert!(contains(of_feature(codomain, i), *v), "{what}: {v} is in the codomain");
            }
            let largest = |v: &[f64]| v.iter().fold(0_f64, |m, v| m.max(v.abs()));
            let steepness = largest(&j[b * d * d..(b + 1) * d * d]);
            let size = 1. + largest(all).max(largest(&y[row.clone()]));
            // NaN where the way back has no slope left.
            let unit = if steepness.is_finite() { f64::EPSILON * steepness } else { f64::INFINITY };
            let allowed = size * (case.tolerance.exact + 64. * d as f64 * unit);
            if allowed > 1e-3 * size {
                // Hardly a digit is left, and the derivative at the point says nothing about how few.
                continue;
            }
            for (i, (a, b)) in all.iter().zip(&back[row.clone()]).enumerate() {
                let mut gap = (a - b).abs();
                if *of_feature(domain(case, direction), i) == Domain::Angle {
                    gap = gap.min(std::f64::consts::TAU - gap);
                }
                assert!(gap <= allowed, "{what}: comes back as {b}, allowed {allowed:.1e}");
            }
            let gap = (l[b] + back_l[b]).abs();
            let allowed = allowed * (1. + l[b].abs()) * (1. + steepness);
            assert!(gap <= allowed, "{what}: log-dets {} and {}", l[b], back_l[b]);
        }
    }
}

/// A NaN gives NaN, in its own row only: never a panic, a hang, an error or a number.
pub(crate) fn nan_stays_nan(at: &str, case: &Case, subject: &Subject, direction: Direction) {
    let clean = Inputs::random(case, direction, 5);
    let d = case.size();
    for feature in [0, d - 1] {
        let mut x = numbers(&clean.x);
        x[2 * d + feature] = f64::NAN;
        let poisoned = Inputs { x: tensor(x, clean.x.dims()), ..clean.clone() };
        for (kind, map) in [
            ("tracked", &subject.map),
            ("frozen", &subject.frozen),
            ("composed", &subject.composed),
        ] {
            for probe in [None, Some(Probe::X)] {
                let expected = evaluate(map.as_ref(), direction, &clean, probe);
                let found = evaluate(map.as_ref(), direction, &poisoned, probe);
                let what = format!("{at}, {kind}, {probe:?}: NaN in feature {feature}");
                let row = |t: &Tensor| numbers(&t.narrow(0, 2, 1).unwrap());
                assert!(row(&found[0].1).iter().any(|v| v.is_nan()), "{what} stays one");
                for ((output, a), (_, b)) in expected.iter().zip(&found) {
                    for start in [0, 3] {
                        let part = |t: &Tensor| numbers(&t.narrow(0, start, 2).unwrap());
                        let gap = crate::numbers::gap_of(&part(a), &part(b));
                        let limit = case.tolerance.exact;
                        assert!(gap <= limit, "{what}: {output} of other rows moves by {gap:.1e}");
                    }
                }
            }
        }
    }
}

/// At the poles of conformal maps: no panic, nothing finite and wrong; beside them the laws.
#[test]
fn poles_are_infinite_and_their_neighbours_are_not() {
    let mut store = ParamStore::new(1, DType::F64, device());
    let config = BijectorConfig::SpecialConformal(SpecialConformalConfig::new(2));
    let map = store.create(&config).unwrap();
    let b = [0.5, -0.25];
    store.assign(&BTreeMap::from([("b".to_owned(), tensor(b.to_vec(), &[2]))])).unwrap();
    let square: f64 = b.iter().map(|b| b * b).sum();
    for (direction, sign) in [(Direction::Forward, 1.), (Direction::Inverse, -1.)] {
        let pole: Vec<f64> = b.iter().map(|b| sign * b / square).collect();
        let at = map.map(direction, &tensor(pole.clone(), &[1, 2]), None).unwrap();
        let value = numbers(&at.value);
        // To rounding: a denominator of 1e-16 at most, or none at all.
        let far = value.iter().any(|v| !v.is_finite() || v.abs() > 1e7);
        assert!(far, "{direction:?}, at the pole: {value:?}");
        let near = tensor(vec![pole[0] + 1e-4, pole[1]], &[1, 2]);
        let there = map.map(direction, &near, None).unwrap();
        let back = map.map(direction.reversed(), &there.value, None).unwrap();
        let error = crate::numbers::gap(&back.value, &near);
        assert!(error < 1e-9, "{direction:?}, beside the pole: {error:.1e}");
    }
    let config = BijectorConfig::Inversion(InversionConfig::new(2));
    let inversion = ParamStore::new(1, DType::F64, device()).create(&config).unwrap();
    let origin = inversion.forward(&tensor(vec![0., 0.], &[1, 2]), None).unwrap();
    assert!(numbers(&origin.value).iter().all(|v| v.is_nan()), "of the origin");
    assert_eq!(numbers(&origin.log_abs_det), [f64::INFINITY], "which is stretched without bound");
}

/// Outside of its domain a map gives NaN or infinity, in the value or in the log-det.
#[test]
fn outside_of_domains_nothing_is_finite() {
    let of = |function| BijectorConfig::Function(FunctionConfig::new(&[1], function));
    for (function, outside) in [
        (Function::Tanh, [1.5, -1., 1.]),
        (Function::Sigmoid, [-0.1, 0., 1.]),
        (Function::Softplus, [-1., 0., -1e6]),
    ] {
        let map = ParamStore::new(1, DType::F64, device()).create(&of(function)).unwrap();
        for y in outside {
            let mapped = map.inverse(&tensor(vec![y], &[1, 1]), None).unwrap();
            let (x, l) = (numbers(&mapped.value)[0], numbers(&mapped.log_abs_det)[0]);
            assert!(!x.is_finite() || !l.is_finite(), "{function:?}, at {y}: {x}, {l}");
        }
    }
}
