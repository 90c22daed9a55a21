//! [`ParamStore`]: seeds, names, files, sessions.
use crate::cases::{composed, randomise, small, small_flow};
use crate::numbers::{close, device, gap, normal, numbers, tensor};
use mflow_bijectors::candle::{DType, Tensor};
use mflow_bijectors::{
    Bijector, BijectorConfig, Error, Init, LinearKind, LuLinearConfig, Mask, ParamStore,
    PermutationConfig, Piece, Result, Stream, fnv1a, split,
};
use std::collections::BTreeMap;
use std::sync::Arc;

type Named = BTreeMap<String, Tensor>;

/// Two couplings, an LU map and a permutation: weights, vectors and a buffer.
fn model() -> BijectorConfig {
    let coupling = || BijectorConfig::Coupling(small(3, Mask::Even).with_context(2));
    let layers = vec![
        coupling(),
        BijectorConfig::Permutation(PermutationConfig::new(3)),
        BijectorConfig::LuLinear(LuLinearConfig::new(3)),
        coupling(),
    ];
    BijectorConfig::Chain { layers }
}

fn fresh(seed: u64, dtype: DType) -> (ParamStore, Arc<dyn Bijector>) {
    let mut store = ParamStore::new(seed, dtype, device());
    let map = store.build(|_| true, |p| model().build(p)).unwrap();
    (store, map)
}

fn load(named: Named, dtype: DType) -> Result<(ParamStore, Arc<dyn Bijector>)> {
    let mut store = ParamStore::from_named(named, dtype, device());
    let map = store.build(|_| true, |p| model().build(p))?;
    Ok((store, map))
}

fn equal(a: &Named, b: &Named) -> bool {
    a.keys().eq(b.keys()) && a.iter().all(|(name, t)| numbers(t) == numbers(&b[name]))
}

#[test]
fn values_depend_on_seed_and_name_only() {
    let config = small(3, Mask::Even);
    let build = |seed: u64, order: [&str; 3]| {
        let mut store = ParamStore::new(seed, DType::F64, device());
        let all = store.build(
            |_| true,
            |p| {
                order
                    .iter()
                    .map(|name| config.build(&mut p.scope(name)))
                    .collect::<Result<Vec<_>>>()
            },
        );
        assert_eq!(all.unwrap().len(), 3, "three layers are built");
        store.to_named().unwrap()
    };
    let a = build(1, ["a", "b", "c"]);
    assert!(equal(&a, &build(1, ["c", "a", "b"])), "the order of building does not matter");
    assert!(!equal(&a, &build(2, ["a", "b", "c"])), "the seed does");
    let weight = |layer: &str| numbers(&a[&format!("{layer}.net.initial.weight")]);
    assert_ne!(weight("a"), weight("b"), "equal shapes under other names get other values");
    let names: Vec<_> = a.keys().cloned().collect();
    assert!(names.is_sorted(), "names are in order");
}

#[test]
fn single_precision_draws_the_same_numbers() {
    let (double, single) = (fresh(3, DType::F64).0, fresh(3, DType::F32).0);
    assert_eq!(single.dtype(), DType::F32, "the store knows its dtype");
    assert!(single.device().same_device(device()), "and its device");
    let double = double.to_named().unwrap();
    for (name, t) in single.to_named().unwrap() {
        let rounded = double[&name].to_dtype(DType::F32).unwrap();
        assert_eq!(numbers(&t), numbers(&rounded), "{name} is rounded once");
    }
}

#[test]
fn initial_values_are_as_documented() {
    let mut store = ParamStore::new(1, DType::F64, device());
    let config = small(3, Mask::Even).with_context(2);
    store.build(|_| true, |p| config.build(p)).unwrap();
    let named = store.to_named().unwrap();
    let bounds = [
        ("net.initial.weight", 1. / 3_f64.sqrt()),
        ("net.initial.bias", 1. / 3_f64.sqrt()),
        ("net.blocks.0.linear.0.weight", 0.25),
        ("net.blocks.0.linear.1.weight", 1e-3),
        ("net.blocks.0.linear.1.bias", 1e-3),
        ("net.blocks.0.context.weight", 1. / 2_f64.sqrt()),
        ("net.final.weight", 0.1 * 0.25),
    ];
    for (name, bound) in bounds {
        let largest = numbers(&named[name]).iter().fold(0_f64, |m, v| m.max(v.abs()));
        assert!(largest <= bound && largest > 0.7 * bound, "{name}: {largest} of {bound}");
    }
    let bias = numbers(&named["net.final.bias"]);
    for element in bias.chunks_exact(14) {
        assert!(element[..10].iter().all(|v| *v == 0.), "bins start equal: {element:?}");
        let slopes = element[10..].iter().map(|v| 1e-3 + v.exp().ln_1p());
        let worst = slopes.map(|s| (s - 1.).abs()).fold(0., f64::max);
        assert!(worst < 1e-14, "derivatives start at 1, off by {worst:.1e}");
    }
}

#[test]
fn names_are_refused_when_repeated() {
    let mut store = ParamStore::new(1, DType::F64, device());
    let twice = |name: &str| {
        let mut store = ParamStore::new(1, DType::F64, device());
        let built = store.build(
            |_| true,
            |p| {
                small(3, Mask::Even).build(&mut p.scope("a"))?;
                small(3, Mask::Even).build(&mut p.scope(name))
            },
        );
        built.map(|_| ())
    };
    assert!(twice("b").is_ok(), "other prefixes are fine");
    match twice("a") {
        Err(Error::DuplicateParameter { name }) => {
            assert_eq!(name, "a.net.initial.weight", "the message names the first repetition");
        }
        other => panic!("the same prefix twice: {other:?}"),
    }
    let buffers = store.build(
        |_| true,
        |p| {
            PermutationConfig::new(3).build(p)?;
            PermutationConfig::new(3).build(p)
        },
    );
    let refused =
        matches!(&buffers, Err(Error::DuplicateParameter { name }) if name == "permutation");
    assert!(refused, "buffers as well: {buffers:?}");
}

/// Two layers with one prefix and different piece names must not get one another's vector.
#[test]
fn one_prefix_holds_one_flat_vector() {
    let mut store = ParamStore::new(1, DType::F64, device());
    let built = store.build(
        |_| true,
        |p| {
            let a = p.flat(vec![Piece::vector("a", 3, Init::Constant(1.))])?;
            let b = p.flat(vec![Piece::vector("b", 5, Init::Constant(2.))])?;
            Ok((a, b))
        },
    );
    let refused = matches!(built, Err(Error::DuplicateParameter { .. }));
    assert!(refused, "a second vector under one prefix is refused: {built:?}");
}

#[test]
fn a_second_session_must_ask_for_the_same_shapes() {
    let mut store = ParamStore::new(1, DType::F64, device());
    store.build(|_| true, |p| LuLinearConfig::new(3).build(p)).unwrap();
    let other = store.build(|_| true, |p| LuLinearConfig::new(4).build(p));
    match other {
        Err(Error::ParameterShape { name, expected, found }) => {
            assert_eq!(name, "lower_entries", "the first piece that differs");
            assert_eq!((expected, found), (vec![6], vec![3]), "with both shapes");
        }
        other => panic!("another layer over the same name: {other:?}"),
    }
    let again = store.build(|_| true, |p| LuLinearConfig::new(3).build(p));
    assert!(again.is_ok(), "the same layer again: {again:?}");
    assert_eq!(store.parameters().count(), 1, "shares its parameters");
}

#[test]
fn named_tensors_round_trip() {
    let (store, map) = fresh(1, DType::F64);
    randomise(&store, "named", 1.);
    let named = store.to_named().unwrap();
    let (other, loaded) = load(named.clone(), DType::F64).unwrap();
    assert!(equal(&named, &other.to_named().unwrap()), "the same names and numbers come back");
    let (x, c) = (normal("x", &[6, 3]), normal("c", &[6, 2]));
    let (a, b) = (map.forward(&x, Some(&c)).unwrap(), loaded.forward(&x, Some(&c)).unwrap());
    assert!(gap(&a.value, &b.value) == 0., "and they give the same map");
    let (single, _) = load(named.clone(), DType::F32).unwrap();
    let rounded = single.to_named().unwrap();
    for (name, t) in &rounded {
        let buffer = name.ends_with("permutation");
        assert_eq!(t.dtype(), if buffer { DType::U32 } else { DType::F32 }, "{name} is converted");
        close(
            &format!("{name} in f32"),
            &t.to_dtype(DType::F64).unwrap(),
            &named[name].to_dtype(DType::F64).unwrap(),
            1e-7,
        );
    }
    let (back, _) = load(rounded.clone(), DType::F64).unwrap();
    assert!(equal(&rounded, &back.to_named().unwrap()), "f32 to f64 loses nothing");
}

/// In files weights are `[out, in]`: the last map is `y = W h + b` with its rows the outputs.
#[test]
fn weights_lie_out_by_in() {
    let mut store = ParamStore::new(1, DType::F64, device());
    let config = small(3, Mask::Even).with_context(2);
    store.build(|_| true, |p| config.build(p)).unwrap();
    let shapes: BTreeMap<String, Vec<usize>> =
        store.to_named().unwrap().into_iter().map(|(n, t)| (n, t.dims().to_vec())).collect();
    let expected = [
        ("net.blocks.0.context.bias", vec![16]),
        ("net.blocks.0.context.weight", vec![16, 2]),
        ("net.blocks.0.linear.0.bias", vec![16]),
        ("net.blocks.0.linear.0.weight", vec![16, 16]),
        ("net.blocks.0.linear.1.bias", vec![16]),
        ("net.blocks.0.linear.1.weight", vec![16, 16]),
        ("net.final.bias", vec![28]),
        ("net.final.weight", vec![28, 16]),
        ("net.initial.bias", vec![16]),
        ("net.initial.weight", vec![16, 3]),
    ];
    let expected: BTreeMap<_, _> = expected.into_iter().map(|(n, s)| (n.to_owned(), s)).collect();
    assert_eq!(shapes, expected, "names and shapes of a coupling");
    // A single nonzero weight of `initial`: output 5 sees input 1 only, in memory at [1, 5].
    let mut weight = vec![0.; 48];
    weight[5 * 3 + 1] = 1.;
    let mut named = store.to_named().unwrap();
    named.insert("net.initial.weight".into(), tensor(weight, &[16, 3]));
    store.assign(&named).unwrap();
    let parameter = store.parameters().next().unwrap();
    let flat = numbers(parameter.var.as_tensor());
    let place =
        parameter.to_named(&tensor((0..flat.len()).map(|i| i as f64).collect(), &[flat.len()]));
    let first = &place.unwrap()[0];
    assert_eq!(first.0, "net.initial.weight", "pieces come in storage order");
    let ones: Vec<usize> = (0..48).filter(|&i| flat[i] == 1.).collect();
    assert_eq!(ones, [16 + 5], "in memory it is [in, out]");
    assert_eq!(numbers(&first.1)[5 * 3 + 1], 21., "to_named flips any vector laid out like it");
}

#[test]
fn a_parameter_cuts_and_joins_vectors_like_itself() {
    let (store, _) = fresh(1, DType::F64);
    for parameter in store.parameters() {
        let moment = normal(&parameter.name, parameter.var.dims());
        let named: Named = parameter.to_named(&moment).unwrap().into_iter().collect();
        let back = parameter.from_named(|name| named.get(name)).unwrap();
        assert_eq!(numbers(&moment), numbers(&back), "{}: cut and joined", parameter.name);
        let short = parameter.to_named(&normal("short", &[3]));
        assert!(short.is_err(), "{}: another length is refused", parameter.name);
        let missing = parameter.from_named(|_| None);
        assert!(matches!(missing, Err(Error::ParameterNames { .. })), "{}", parameter.name);
    }
}

#[test]
fn names_must_match_exactly() {
    let named = fresh(1, DType::F64).0.to_named().unwrap();
    let mut changed = named.clone();
    changed.remove("0.net.final.bias").unwrap();
    changed.remove("1.permutation").unwrap();
    changed.insert("3.net.extra".into(), tensor(vec![1.], &[1]));
    changed.insert("zero".into(), tensor(vec![1.], &[1]));
    match load(changed, DType::F64) {
        Err(Error::ParameterNames { missing, unexpected }) => {
            assert_eq!(missing, ["0.net.final.bias", "1.permutation"], "all that is missing");
            assert_eq!(unexpected, ["3.net.extra", "zero"], "all that is left over");
        }
        other => panic!("wrong names: {:?}", other.map(|_| ())),
    }
    let mut extra = named.clone();
    extra.insert("zero".into(), tensor(vec![1.], &[1]));
    let message = load(extra, DType::F64).map(|_| ()).unwrap_err().to_string();
    let expected = r#"parameters do not fit the model: missing [], unexpected ["zero"]"#;
    assert_eq!(message, expected, "only something left over");
    let mut short = named;
    short.remove("2.bias").unwrap();
    let message = load(short, DType::F64).map(|_| ()).unwrap_err().to_string();
    let expected = r#"parameters do not fit the model: missing ["2.bias"], unexpected []"#;
    assert_eq!(message, expected, "only something missing");
}

#[test]
fn loaded_shapes_and_values_are_checked() {
    let named = fresh(1, DType::F64).0.to_named().unwrap();
    let change = |name: &str, t: Tensor| {
        let mut changed = named.clone();
        assert!(changed.insert(name.into(), t).is_some(), "{name} is a name of the model");
        load(changed, DType::F64).map(|_| ()).unwrap_err()
    };
    let transposed = named["0.net.initial.weight"].t().unwrap().contiguous().unwrap();
    let message = change("0.net.initial.weight", transposed).to_string();
    let expected = "parameter `0.net.initial.weight`: expected shape [16, 3], found [3, 16]";
    assert_eq!(message, expected, "a transposed weight in the first layer");
    let last = change("3.net.final.bias", tensor(vec![0.; 3], &[3]));
    assert!(matches!(last, Error::ParameterShape { .. }), "in the last one: {last}");
    let index = |v: Vec<u32>| Tensor::from_vec(v.clone(), v.len(), device()).unwrap();
    for (what, bad) in [
        ("a repetition", index(vec![0, 1, 1])),
        ("a number out of range", index(vec![0, 1, 3])),
        ("another length", index(vec![1, 0])),
        ("another dtype", tensor(vec![0., 1., 2.], &[3])),
        ("another rank", index(vec![0, 1, 2]).reshape((3, 1)).unwrap()),
    ] {
        match change("1.permutation", bad) {
            Error::ParameterValue { name, reason } => {
                assert_eq!(name, "1.permutation", "{what}: the name is in the error");
                assert!(reason.contains("a permutation of 0..3"), "{what}: {reason}");
            }
            other => panic!("{what} is no permutation: {other}"),
        }
    }
}

#[test]
fn assigning_is_strict_about_its_own_names() {
    let (store, map) = fresh(1, DType::F64);
    let old = store.to_named().unwrap();
    let (x, c) = (normal("x", &[4, 3]), normal("c", &[4, 2]));
    let before = map.forward(&x, Some(&c)).unwrap().value;
    randomise(&store, "assign", 1.);
    let after = map.forward(&x, Some(&c)).unwrap().value;
    assert!(gap(&before, &after) > 1e-3, "built layers see assigned values");
    store.assign(&old).unwrap();
    let again = map.forward(&x, Some(&c)).unwrap().value;
    assert!(gap(&before, &again) == 0., "and their old ones");
    let mut short = old.clone();
    short.remove("2.bias").unwrap();
    assert!(matches!(store.assign(&short), Err(Error::ParameterNames { .. })), "a missing name");
    let mut wrong = old;
    wrong.insert("2.bias".into(), tensor(vec![0.; 4], &[4]));
    assert!(matches!(store.assign(&wrong), Err(Error::ParameterShape { .. })), "a wrong shape");
}

#[test]
fn sessions_choose_what_is_trained() {
    let mut store = ParamStore::new(1, DType::F64, device());
    let config = model();
    let map = store.build(|name| name.starts_with("3"), |p| config.build(p)).unwrap();
    let (x, c) = (normal("x", &[4, 3]), normal("c", &[4, 2]));
    let loss = map.forward(&x, Some(&c)).unwrap().value.sum_all().unwrap();
    let gradients = loss.backward().unwrap();
    for p in store.parameters() {
        let trained = gradients.get(&p.var).is_some();
        assert_eq!(trained, p.name.starts_with('3'), "layer {}", p.name);
    }
    let other = store.build(|_| true, |p| composed(&config).build(p)).unwrap();
    let loss = other.forward(&x, Some(&c)).unwrap().value.sum_all().unwrap();
    let gradients = loss.backward().unwrap();
    let all = store.parameters().all(|p| gradients.get(&p.var).is_some());
    assert!(all, "a second session may train all of the same store");
}

#[test]
fn a_failed_session_reports_its_own_error() {
    let named = fresh(1, DType::F64).0.to_named().unwrap();
    let mut store = ParamStore::from_named(named, DType::F64, device());
    let failed: Result<()> =
        store.build(|_| true, |_| Err(Error::config("some.field", "is wrong")));
    let own = matches!(&failed, Err(Error::Config { field, .. }) if field == "some.field");
    assert!(own, "not that of the names it never came to: {failed:?}");
}

#[test]
fn pieces_need_as_many_values_as_elements() {
    let mut store = ParamStore::new(1, DType::F64, device());
    let piece = Piece::vector("v", 3, Init::Values(vec![1., 2.]));
    let built = store.build(|_| true, |p| p.scope("layer").flat(vec![piece.clone()]));
    let message = built.map(|_| ()).unwrap_err().to_string();
    let expected = "parameter `layer.v`: has 3 elements, but 2 initial values";
    assert_eq!(message, expected, "both numbers are in the message");
}

#[test]
fn the_layers_of_a_flow_have_their_place_as_name() {
    let mut config = small_flow();
    config.linear = LinearKind::Lu;
    config.layers = 2;
    let mut store = ParamStore::new(1, DType::F64, device());
    store.build(|_| true, |p| config.bijector(3, 0)?.build(p)).unwrap();
    let mut layers: Vec<String> = store.to_named().unwrap().into_keys().collect();
    layers.iter_mut().for_each(|n| n.truncate(n.find('.').unwrap()));
    layers.dedup();
    let expected: Vec<String> = (0..8).map(|i| i.to_string()).collect();
    assert_eq!(layers, expected, "permutation, LU, coupling, twice, and permutation, LU");
}

#[test]
fn streams_are_named_and_reproducible() {
    let draw = |seed: u64, name: &str| Stream::new(seed, name).normal(4);
    assert_eq!(draw(1, "a"), draw(1, "a"), "one seed and name, one stream");
    assert_ne!(draw(1, "a"), draw(1, "b"), "another name, another stream");
    assert_ne!(draw(1, "a"), draw(2, "a"), "another seed, another stream");
    assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325, "published offset basis of FNV-1a");
    assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c, "published hash of \"a\"");
    let uniform = Stream::new(1, "u").uniform(1000, -2., 3.);
    let inside = uniform.iter().all(|u| (-2. ..3.).contains(u));
    assert!(inside, "uniform numbers stay in their interval");
    let (low, high) = uniform.iter().fold((9_f64, -9_f64), |(l, h), u| (l.min(*u), h.max(*u)));
    assert!(low < -1.95 && high > 2.95, "and fill it: {low} to {high}");
}

#[test]
fn splitting_covers_a_vector() {
    let flat = tensor((0..10).map(f64::from).collect(), &[10]);
    let parts = split(&flat, &[3, 0, 5, 2]).unwrap();
    let lens: Vec<usize> = parts.iter().map(Tensor::elem_count).collect();
    assert_eq!(lens, [3, 0, 5, 2], "lengths are as asked");
    let all: Vec<f64> = parts.iter().flat_map(numbers).collect();
    assert_eq!(all, numbers(&flat), "in order");
    assert!(split(&flat, &[3, 8]).is_err(), "too much is refused");
    assert!(split(&flat, &[3, 4]).is_err(), "too little as well");
    assert!(split(&flat, &[9]).is_err(), "also with one piece");
}
