//! Law 9, second half: arguments that do not fit are typed errors, for every kind of map.
use crate::cases::{DIRECTIONS, composed, small, small_flow};
use crate::numbers::{device, normal, tensor};
use mflow_bijectors::candle::{DType, Tensor};
use mflow_bijectors::{
    Bijector, BijectorConfig, Diff, Direction, Dual, Error, FeatureAffineConfig, LuLinearConfig,
    Mask, ParamStore, PermutationConfig,
};
use std::sync::Arc;

fn build(config: &BijectorConfig) -> Arc<dyn Bijector> {
    ParamStore::new(1, DType::F64, device()).build(|_| true, |p| config.build(p)).unwrap()
}

/// Maps of 3 features, those with context first.
fn maps() -> [Vec<Arc<dyn Bijector>>; 2] {
    let conditional = BijectorConfig::Coupling(small(3, Mask::Even).with_context(2));
    let with = [
        composed(&conditional),
        conditional.clone(),
        small_flow().bijector(3, 2).unwrap(),
        BijectorConfig::Inverted { of: Box::new(conditional) },
    ];
    let affine = FeatureAffineConfig::new(vec![0.; 3], vec![1.; 3]);
    let without = [
        BijectorConfig::Coupling(small(3, Mask::Even)),
        BijectorConfig::Permutation(PermutationConfig::new(3)),
        BijectorConfig::LuLinear(LuLinearConfig::new(3)),
        BijectorConfig::FeatureAffine(affine),
        small_flow().bijector(3, 0).unwrap(),
    ];
    [with.iter().map(build).collect(), without.iter().map(build).collect()]
}

/// The error of both `map` and `push`, which must be the same.
fn refusal(map: &dyn Bijector, direction: Direction, x: &Tensor, c: Option<&Tensor>) -> Error {
    let error = map.map(direction, x, c).map(|_| ()).unwrap_err();
    let c = c.map(Dual::constant);
    let pushed = map.push(direction, &Dual::constant(x), c.as_ref()).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), pushed.to_string(), "map and push refuse alike");
    error
}

fn op(direction: Direction) -> (&'static str, &'static str) {
    match direction {
        Direction::Forward => ("Bijector::forward", "x"),
        Direction::Inverse => ("Bijector::inverse", "y"),
    }
}

#[test]
fn wrong_shapes() {
    let c = normal("c", &[4, 2]);
    for map in maps().iter().flatten() {
        for direction in DIRECTIONS {
            for shape in [&[4, 5][..], &[4, 2], &[3], &[4, 3, 1], &[], &[1, 4, 3]] {
                let error = refusal(map.as_ref(), direction, &normal("x", shape), Some(&c));
                let (op, arg) = op(direction);
                let expected = format!("{op}: expected `{arg}` of shape [B, 3], found {shape:?}");
                assert_eq!(error.to_string(), expected, "{map:?}");
                assert!(matches!(error, Error::Shape { .. }), "{error:?} is a shape error");
            }
        }
    }
}

#[test]
fn wrong_dtypes() {
    let (x, c) = (normal("x", &[4, 3]), normal("c", &[4, 2]));
    let single = |t: &Tensor| t.to_dtype(DType::F32).unwrap();
    for map in maps().iter().flatten() {
        for direction in DIRECTIONS {
            let error = refusal(map.as_ref(), direction, &single(&x), Some(&c));
            let (op, arg) = op(direction);
            let expected = format!("{op}: expected `{arg}` of dtype F64, found F32");
            assert_eq!(error.to_string(), expected, "{map:?}");
            assert!(matches!(error, Error::DType { .. }), "{error:?} is a dtype error");
            if map.signature().context_dim.is_some() {
                let error = refusal(map.as_ref(), direction, &x, Some(&single(&c)));
                let expected = format!("{op}: expected `context` of dtype F64, found F32");
                assert_eq!(error.to_string(), expected, "{map:?}");
            }
        }
    }
}

#[test]
fn missing_and_misshapen_contexts() {
    let [with, without] = maps();
    let x = normal("x", &[4, 3]);
    for direction in DIRECTIONS {
        let (op, _) = op(direction);
        for map in &with {
            let error = refusal(map.as_ref(), direction, &x, None);
            let expected = format!("{op}: a context of shape [B, 2] is required, found none");
            assert_eq!(error.to_string(), expected, "{map:?}");
            assert!(matches!(error, Error::MissingContext { expected: 2, .. }), "{error:?}");
            for shape in [&[4, 1][..], &[4, 3], &[3, 2], &[1, 2], &[2], &[4, 2, 1]] {
                let error = refusal(map.as_ref(), direction, &x, Some(&normal("c", shape)));
                let expected = format!("{op}: expected `context` of shape [4, 2], found {shape:?}");
                assert_eq!(error.to_string(), expected, "{map:?}");
            }
        }
        for map in &without {
            assert!(map.map(direction, &x, None).is_ok(), "{map:?} needs no context");
        }
    }
}

#[test]
fn tangents_fit_their_values() {
    let x = normal("x", &[4, 3]);
    for shape in [&[4, 3][..], &[4, 2, 2], &[3, 2, 3], &[4, 3, 2, 1], &[4, 2, 3, 1]] {
        let error = Dual::new(x.clone(), normal("t", shape)).map(|_| ()).unwrap_err();
        let expected =
            format!("Dual::new: expected `tangents` of shape [4, K, 3], found {shape:?}");
        assert_eq!(error.to_string(), expected, "tangents of shape {shape:?}");
    }
    let none = Dual::new(tensor(vec![1.], &[]), normal("t", &[1])).map(|_| ()).unwrap_err();
    assert!(matches!(none, Error::Shape { .. }), "a value needs a batch axis: {none}");
    let single = normal("t", &[4, 2, 3]).to_dtype(DType::F32).unwrap();
    let error = Dual::new(x.clone(), single).map(|_| ()).unwrap_err();
    let expected = "Dual::new: expected `tangents` of dtype F64, found F32";
    assert_eq!(error.to_string(), expected, "tangents of another dtype");
    let dual = Dual::new(x.clone(), normal("t", &[4, 2, 3])).unwrap();
    assert!(!dual.has_log_det(), "log-dets have no tangents unless asked for");
    assert!(dual.clone().with_log_det().has_log_det(), "and have them when asked for");
    assert_eq!(dual.tangents().map(Tensor::dims), Some(&[4, 2, 3][..]), "tangents are kept");
    assert!(Dual::constant(&x).tangents().is_none(), "a constant has none");
}

#[test]
fn points_and_context_have_equally_many_tangents() {
    let [with, without] = maps();
    let dual = |rows: usize, n: usize| {
        Dual::new(normal("v", &[4, n]), normal("t", &[4, rows, n])).unwrap()
    };
    for direction in DIRECTIONS {
        for map in &with {
            let error = map.push(direction, &dual(3, 3), Some(&dual(5, 2))).map(|_| ());
            let error = error.unwrap_err();
            let expected = format!(
                "{}: expected `context tangents` of shape [B, 3, C], found [4, 5, 2]",
                op(direction).0
            );
            assert_eq!(error.to_string(), expected, "{map:?}");
        }
        for map in &without {
            let ignored = map.push(direction, &dual(3, 3), Some(&dual(5, 2)));
            assert!(ignored.is_ok(), "{map:?} ignores a context");
        }
    }
}

#[test]
fn no_tangent_rows_are_fine() {
    let (x, rows) = (normal("x", &[4, 3]), tensor(vec![], &[4, 0, 3]));
    let context = Dual::constant(&normal("c", &[4, 2]));
    for map in maps().iter().flatten() {
        for direction in DIRECTIONS {
            for log_det in [false, true] {
                let dual = Dual::new(x.clone(), rows.clone()).unwrap();
                let dual = if log_det { dual.with_log_det() } else { dual };
                let pushed = map.push(direction, &dual, Some(&context)).unwrap();
                let dims = pushed.value.tangents().map(|t| t.dims().to_vec());
                assert_eq!(dims, Some(vec![4, 0, 3]), "{map:?}: none in, none out");
            }
        }
    }
}

#[test]
fn arguments_may_be_strided() {
    let transposed = normal("x", &[3, 4]).t().unwrap();
    let context = normal("c", &[2, 4]).t().unwrap();
    let rows = normal("t", &[3, 2, 4]).permute((2, 1, 0)).unwrap();
    let dense = |t: &Tensor| t.contiguous().unwrap();
    for map in maps().iter().flatten() {
        for direction in DIRECTIONS {
            let push = |x: Tensor, rows: Tensor, c: Tensor| {
                let x = Dual::new(x, rows).unwrap();
                map.push(direction, &x, Some(&Dual::constant(&c))).unwrap()
            };
            let strided = push(transposed.clone(), rows.clone(), context.clone());
            let plain = push(dense(&transposed), dense(&rows), dense(&context));
            let gap = crate::numbers::gap(strided.value.value(), plain.value.value())
                + crate::numbers::gap(
                    strided.value.tangents().unwrap(),
                    plain.value.tangents().unwrap(),
                );
            assert!(gap < 1e-14, "{map:?}: strided arguments give the same result");
            let strided = map.map(direction, &transposed, Some(&context)).unwrap();
            let plain = map.map(direction, &dense(&transposed), Some(&dense(&context))).unwrap();
            let gap = crate::numbers::gap(&strided.value, &plain.value);
            assert!(gap < 1e-14, "{map:?}: also without tangents");
        }
    }
}
