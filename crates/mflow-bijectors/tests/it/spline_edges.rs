//! The spline where something changes: at knots, at the tail bound, far out, and at NaN.
use crate::cases::{Case, DIRECTIONS, Inputs, Probe, Subject, evaluate, random, small};
use crate::device::has_kernels;
use crate::gradients::{gradients, losses};
use crate::numbers::{close, gap, numbers, tensor};
use crate::spline::{Oracle, fixed, random_parameters};
use mflow_bijectors::candle::{DType, Tensor};
use mflow_bijectors::{Bijector, Direction, Mask, Route};

const BOUND: f64 = 3.;
const ROUTES: [Route; 2] = [Route::Auto, Route::Composed];

fn at(map: &dyn Bijector, direction: Direction, x: &[f64], dtype: DType) -> (Vec<f64>, Vec<f64>) {
    let x = tensor(x.to_vec(), &[x.len(), 1]).to_dtype(dtype).unwrap();
    let mapped = map.map(direction, &x, None).unwrap();
    (numbers(&mapped.value), numbers(&mapped.log_abs_det))
}

#[test]
fn knots_belong_to_both_sides() {
    let p = random_parameters("knots", 1, 6, 1.5);
    let oracle = Oracle::new(BOUND, 0.5, &p);
    for route in ROUTES {
        let (map, _store) = fixed(1, BOUND, &p, DType::F64, route);
        for direction in DIRECTIONS {
            let (from, to, sign) = match direction {
                Direction::Forward => (&oracle.x, &oracle.y, 1.),
                Direction::Inverse => (&oracle.y, &oracle.x, -1.),
            };
            for k in 1..6 {
                let (step, slope) = (1e-7, oracle.slope[k].powf(sign));
                let (y, l) = at(
                    map.as_ref(),
                    direction,
                    &[from[k] - step, from[k], from[k] + step],
                    DType::F64,
                );
                let what = format!("{route:?}, {direction:?}, knot {k}");
                assert!((y[1] - to[k]).abs() < 1e-13, "{what}: value {} is {}", y[1], to[k]);
                let (left, right) = ((y[1] - y[0]) / step, (y[2] - y[1]) / step);
                assert!(
                    (left - slope).abs() < 1e-4 * (1. + slope),
                    "{what}: slope on the left {left} is {slope}"
                );
                assert!(
                    (right - slope).abs() < 1e-4 * (1. + slope),
                    "{what}: on the right {right} is {slope}"
                );
                for l in l {
                    assert!(
                        (l - slope.ln()).abs() < 1e-4,
                        "{what}: log-slope {l} is {}",
                        slope.ln()
                    );
                }
            }
        }
    }
}

#[test]
fn the_bound_is_a_fixed_point() {
    for bins in [1, 6, 200] {
        let p = random_parameters("bound", 1, bins, 1.5);
        for route in ROUTES {
            for (dtype, epsilon) in [(DType::F64, 2e-16), (DType::F32, 1.2e-7)] {
                let (map, _store) = fixed(1, BOUND, &p, dtype, route);
                for direction in DIRECTIONS {
                    let (y, l) = at(map.as_ref(), direction, &[-BOUND, BOUND], dtype);
                    let what = format!("{bins} bins, {route:?}, {dtype:?}, {direction:?}");
                    assert_eq!(y[0], -BOUND, "{what}: the lower bound stays");
                    // Only the kernel pins the last knot, so that rounding leaves no gap to the
                    // tail; in a sum of 200 bins there is one.
                    let loose = match (route, direction) {
                        (Route::Auto, Direction::Forward) if has_kernels() => 1.,
                        (Route::Auto, Direction::Inverse) if has_kernels() => 20.,
                        _ => 20. * bins as f64,
                    };
                    let gap = (y[1] - BOUND).abs() / BOUND;
                    let most = match dtype {
                        DType::F64 if bins > 100 => 4e-14,
                        DType::F64 => 2e-15,
                        _ => loose * epsilon,
                    };
                    assert!(
                        gap <= most.min(loose * epsilon),
                        "{what}: upper bound stays, gap {gap:.1e}"
                    );
                    let l = l[0].abs().max(l[1].abs());
                    let limit = loose * 10. * epsilon * bins as f64;
                    assert!(l <= limit, "{what}: log-slope {l:.1e} is 0 at the bound");
                }
            }
        }
    }
}

#[test]
fn the_tails_are_the_identity() {
    let p = random_parameters("tails", 1, 6, 1.5);
    let x = [3.000_001, -3.000_001, 4., -17., 1e6, -1e6, 1e30, -1e30, f64::from(f32::MAX)];
    for route in ROUTES {
        for dtype in [DType::F64, DType::F32] {
            let (map, store) = fixed(1, BOUND, &p, dtype, route);
            let x = numbers(&tensor(x.to_vec(), &[9]).to_dtype(dtype).unwrap());
            for direction in DIRECTIONS {
                let what = format!("{route:?}, {dtype:?}, {direction:?}");
                let (y, l) = at(map.as_ref(), direction, &x, dtype);
                assert_eq!(y, x, "{what}: identity outside of the box");
                assert_eq!(l, [0.; 9], "{what}: log-det 0");
                let points = tensor(x.clone(), &[9, 1]).to_dtype(dtype).unwrap();
                let inputs = Inputs {
                    x_rows: points.ones_like().unwrap().unsqueeze(1).unwrap(),
                    x: points,
                    context: None,
                    context_rows: None,
                };
                for log_det in [false, true] {
                    let probe = Probe { x: true, context: false, log_det };
                    let outputs = evaluate(map.as_ref(), direction, &inputs, Some(probe));
                    let expected = [&x[..], &[0.; 9], &[1.; 9], &[0.; 9]];
                    for ((output, t), expected) in outputs.iter().zip(expected) {
                        assert_eq!(numbers(t), expected, "{what}: {output} outside");
                    }
                }
                let loss = map.map(direction, &inputs.x, None).unwrap();
                let loss = (loss.value.sum(1).unwrap() + loss.log_abs_det).unwrap();
                let gradients = loss.sum_all().unwrap().backward().unwrap();
                let var = &store.parameters().next().unwrap().var;
                let zero = numbers(gradients.get(var).unwrap()).iter().all(|g| *g == 0.);
                assert!(zero, "{what}: no parameter acts outside");
            }
        }
    }
}

#[test]
fn infinities_pass_through() {
    let p = random_parameters("tails", 1, 6, 1.5);
    for route in ROUTES {
        let (map, _store) = fixed(1, BOUND, &p, DType::F64, route);
        for direction in DIRECTIONS {
            let x = [f64::INFINITY, f64::NEG_INFINITY];
            let (y, l) = at(map.as_ref(), direction, &x, DType::F64);
            assert_eq!(y, x, "{route:?}, {direction:?}: infinities stay");
            assert_eq!(l, [0.; 2], "{route:?}, {direction:?}: with log-det 0");
        }
    }
}

/// A NaN in any argument of one row: NaN comes out there, and the other rows are as before.
#[test]
fn nan_stays_in_its_row() {
    let case = Case::coupling(small(3, Mask::Even).with_context(2));
    let (rows, bad) = (11, 4);
    let clean = random(&case, Direction::Forward, rows);
    let spoil = |t: &Tensor, feature: usize| {
        let mut v = numbers(t);
        v[bad * t.dim(1).unwrap() + feature] = f64::NAN;
        tensor(v, t.dims())
    };
    let context = clean.context.clone().unwrap();
    let spoiled = [
        ("a kept feature", true, Inputs { x: spoil(&clean.x, 1), ..clean.clone() }),
        ("a moved feature", false, Inputs { x: spoil(&clean.x, 2), ..clean.clone() }),
        ("the context", true, Inputs { context: Some(spoil(&context, 0)), ..clean.clone() }),
    ];
    let double = Subject::new(&case);
    let subjects = [(DType::F64, 1e-14, &double), (DType::F32, 1e-5, &double.single(&case))];
    for (dtype, tolerance, subject) in subjects {
        let maps =
            [("fused", &subject.map), ("composed", &subject.composed), ("frozen", &subject.frozen)];
        for (route, map) in maps {
            for direction in DIRECTIONS {
                for probe in [None, Some(Probe::X), Some(Probe::ALL)] {
                    let good = evaluate(map.as_ref(), direction, &clean.to(dtype).unwrap(), probe);
                    for (place, conditions, inputs) in &spoiled {
                        let found =
                            evaluate(map.as_ref(), direction, &inputs.to(dtype).unwrap(), probe);
                        let what =
                            format!("NaN in {place}, {dtype:?}, {route}, {direction:?}, {probe:?}");
                        for ((output, good), (_, found)) in good.iter().zip(&found) {
                            for (start, len) in [(0, bad), (bad + 1, rows - bad - 1)] {
                                let part = |t: &Tensor| t.narrow(0, start, len).unwrap();
                                let gap = gap(&part(found), &part(good));
                                assert!(gap <= tolerance, "{what}: {output} of other rows");
                            }
                        }
                        let row = |i: usize| numbers(&found[i].1.narrow(0, bad, 1).unwrap());
                        if *conditions {
                            let (value, log_det) = (row(0), row(1));
                            assert!(value[0].is_nan() && value[2].is_nan(), "{what}: {value:?}");
                            assert!(log_det[0].is_nan(), "{what}: log-det {log_det:?}");
                        } else {
                            assert!(row(0)[2].is_nan(), "{what}: the moved feature is NaN");
                        }
                    }
                }
            }
        }
    }
}

/// Where a bin ends in the least slope, the discriminant of the inverse is a difference of nearly
/// equal numbers; in f32 it may round below 0.
#[test]
fn roots_survive_cancellation() {
    let bins = 4;
    for seed in 0..150 {
        let mut p = random_parameters(&format!("cancellation {seed}"), 1, bins, 4.);
        p[2 * bins..].fill(-50.);
        let oracle = Oracle::new(BOUND, 0.5, &p);
        // Every f32 around each inner knot.
        let step = |y: f64| f64::from(f32::EPSILON) * y.abs().max(0.1) / 2.;
        let near = |y: &f64| (-40..40).map(|i| y + step(*y) * f64::from(i)).collect::<Vec<_>>();
        let y: Vec<f64> = oracle.y[1..bins].iter().flat_map(near).collect();
        for route in ROUTES {
            let (map, _store) = fixed(1, BOUND, &p, DType::F32, route);
            let (x, l) = at(map.as_ref(), Direction::Inverse, &y, DType::F32);
            for (i, (x, l)) in x.iter().zip(l).enumerate() {
                let (gap, y) = ((x - oracle.x[1 + i / 80]).abs(), y[i]);
                let what = format!("spline {seed}, {route:?}, at {y}");
                // The inverse has slope 1000 here, which is what errors of the knots grow by.
                assert!(gap < 0.5, "{what}: the inverse is off by {gap:.1e}");
                assert!(l.is_finite(), "{what}: its log-slope {l} is finite");
            }
        }
    }
}

/// Raw slopes that saturate the softplus, and points outside: what reverse mode multiplies by zero
/// must be finite.
#[test]
fn gradients_of_saturated_slopes_are_finite() {
    for (dtype, size) in [(DType::F32, 95.), (DType::F32, 300.), (DType::F64, 800.)] {
        for sign in [-1., 1.] {
            let mut p = random_parameters("saturated", 1, 4, 1.);
            p[8..].iter_mut().for_each(|v| *v = sign * size);
            for route in ROUTES {
                let (map, store) = fixed(1, BOUND, &p, dtype, route);
                let x = tensor(vec![-1e3, -2.9, -0.7, 0.1, 1.9, 2.99, 40.], &[7, 1]);
                let x = x.to_dtype(dtype).unwrap();
                let x_rows = x.ones_like().unwrap().unsqueeze(1).unwrap();
                let inputs = Inputs { x, x_rows, context: None, context_rows: None };
                for direction in DIRECTIONS {
                    let probe = Probe { x: true, context: false, log_det: true };
                    let outputs = losses(map.as_ref(), direction, &inputs, Some(probe));
                    for (output, loss) in outputs {
                        let vars = store.parameters().map(|p| (p.name.clone(), p.var.clone()));
                        let vars: Vec<_> = vars.collect();
                        let finite = gradients(&loss, &vars)[0].iter().all(|g| g.is_finite());
                        let size = sign * size;
                        let what = format!("{dtype:?}, {route:?}, {direction:?}, slopes {size}");
                        assert!(finite, "{what}: gradient of {output} is finite");
                    }
                }
            }
        }
    }
}

/// In f32 a round trip is good to 1e-4 for well-conditioned splines.
#[test]
fn single_precision_round_trips() {
    let n = 2001;
    let x: Vec<f64> = (0..n).map(|i| 7. * (f64::from(i) / 1000. - 1.)).collect();
    let x = tensor(x, &[n as usize, 1]).to_dtype(DType::F32).unwrap();
    for bins in [1, 5, 10] {
        let p = random_parameters("round trip", 1, bins, 1.);
        for route in ROUTES {
            let (map, _store) = fixed(1, 6., &p, DType::F32, route);
            for direction in DIRECTIONS {
                let there = map.map(direction, &x, None).unwrap();
                let back = map.map(direction.reversed(), &there.value, None).unwrap();
                let what = format!("{bins} bins, {route:?}, {direction:?}");
                close(&format!("{what}: f32 round trip"), &back.value, &x, 2e-5);
                let opposite = there.log_abs_det.neg().unwrap();
                close(&format!("{what}: f32 log-det"), &back.log_abs_det, &opposite, 1e-4);
            }
        }
    }
}

#[test]
fn splines_increase_everywhere() {
    let p = random_parameters("monotone", 1, 10, 2.);
    let n = 4001;
    let x: Vec<f64> = (0..n).map(|i| 3.5 * (f64::from(i) / 2000. - 1.)).collect();
    for route in ROUTES {
        let (map, _store) = fixed(1, BOUND, &p, DType::F64, route);
        for direction in DIRECTIONS {
            let (y, _) = at(map.as_ref(), direction, &x, DType::F64);
            let fails = y.windows(2).position(|w| w[0] >= w[1]);
            assert!(fails.is_none(), "{route:?}, {direction:?}: falls after {fails:?}");
        }
    }
}

/// Between flat chords and steep knots the quadratic of the inverse has roots of both signs of its
/// middle coefficient: in either case no digits cancel. What a round trip loses is the rounding of the
/// value over the slope.
#[test]
fn the_inverse_cancels_no_digits() {
    for seed in 0..30 {
        let p = random_parameters(&format!("steep {seed}"), 1, 6, 8.);
        for route in [Route::Auto, Route::Composed] {
            let (map, _store) = fixed(1, 3., &p, DType::F64, route);
            let n = 2000;
            let x: Vec<f64> =
                (0..n).map(|i| -3. + 6. * (f64::from(i) + 0.5) / f64::from(n)).collect();
            let x = tensor(x, &[n as usize, 1]);
            let there = map.forward(&x, None).unwrap();
            let back = map.inverse(&there.value, None).unwrap();
            let (x, back) = (numbers(&x), numbers(&back.value));
            let slopes = numbers(&there.log_abs_det);
            for ((x, back), l) in x.iter().zip(back).zip(slopes) {
                let (error, allowed) = ((x - back).abs(), 3e-15 * (1. + (-l).exp()));
                assert!(error <= allowed, "{seed}, {route:?}, at {x}: {error:.1e} > {allowed:.1e}");
            }
        }
    }
}
