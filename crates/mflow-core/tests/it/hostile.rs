//! Configs, files and arguments that nobody would write on purpose: an error or a result, never a panic.
use crate::kinds::{circle, small, small_net, units};
use crate::mutations::mutations;
use crate::numbers::device;
use crate::survival::survives;
use mflow_bijectors::ParamStore;
use mflow_core::candle::{DType, Device, Tensor};
use mflow_core::{
    ChartConfig, Embedding, Generator, GeneratorConfig, GeneratorLayer, ImageNetConfig,
    ModelConfig, NearestConfig, PrincipalAxes, UnrollMethod, UnrollOptions, linear_span,
    place_charts, standardize, standardize_blocks, standardize_weighted, unroll,
};
use serde_json::json;
use std::collections::BTreeMap;

/// Every kind of model, small.
fn models() -> Vec<ModelConfig> {
    let image = ImageNetConfig::new(&[4, 4, 1]).with_size(1, 2, 1).with_hidden(4);
    let x: Vec<f64> = (0..40).map(|i| f64::from(i * i % 17)).collect();
    let placed = |config: ModelConfig| small(config).place_charts(&x).unwrap();
    vec![
        small(ModelConfig::af(2)).with_normalization(units(2)),
        small(ModelConfig::fom(circle(2.))),
        small(ModelConfig::pie(3, 1)),
        small(ModelConfig::m_flow(2, 1)).start_flat(&x).unwrap(),
        small(ModelConfig::m_flow_on(circle(1.), 3)),
        placed(ModelConfig::atlas(2, 1, 2)),
        small(ModelConfig::me_flow(3, 1)).with_context(1).with_conditional_manifold(),
        small(ModelConfig::pae(3, 1)).with_context(2).with_context_normalization(units(2)),
        small(ModelConfig::pae(16, 1)).with_networks(image),
        small(ModelConfig::free_form(3, 1)),
        placed(ModelConfig::free_form_atlas(2, 1, 2)),
        small(ModelConfig::vae(3, 1)),
        small(ModelConfig::rif(3, 1)),
        ModelConfig::ratio(2, 1).with_networks(small_net()),
    ]
}

#[test]
fn no_field_of_a_model_makes_it_panic() {
    for config in models() {
        let config = json!(config);
        for (what, changed) in mutations(&config) {
            survives(&format!("{config} with {what}"), || {
                let Ok(changed) = serde_json::from_value::<ModelConfig>(changed) else { return };
                let _ = changed.build(&mut ParamStore::new(1, DType::F64, device()), |_| true);
                let _ = changed.clone().place_charts(&[0.; 6]);
                let _ = changed.clone().start_flat(&[0.5; 6]);
                let _ = (changed.needs_double(), changed.normalized(&[0.; 3]), changed.groups());
            });
        }
    }
}

#[test]
fn no_number_of_a_chart_makes_it_panic() {
    let charts = [
        json!({ "kind": "zero_padding", "coordinate_dim": 1, "data_dim": 3 }),
        json!({ "kind": "hypersphere", "dim": 2, "radius": 1.5, "center": [0.5, 1.5, 2.5] }),
        json!({ "kind": "torus", "major": 2.5, "minor": 0.5 }),
        json!({ "kind": "flat_torus", "radii": [0.5, 1.5] }),
        json!({ "kind": "linear_subspace", "basis": [[1.5, 0.5]], "offset": [0.5, 0.5] }),
        json!({ "kind": "stereographic", "radius": 1.5, "center": [0.5, 1.5, 2.5] }),
    ];
    for (chart, (what, changed)) in
        charts.iter().flat_map(|chart| mutations(chart).into_iter().map(move |m| (chart, m)))
    {
        survives(&format!("{chart} with {what}"), || {
            let Ok(changed) = serde_json::from_value::<ChartConfig>(changed) else { return };
            let (d, n) = changed.dims();
            let Ok(built) = changed.build(DType::F64, device()) else { return };
            if d > 100 {
                return; // it could be built, and has no place in memory
            }
            let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F64, device()).unwrap();
            for rows in [0, 1] {
                let _ = built.embed(&zeros(&[rows, n]), None);
                let _ = built.log_volume(&zeros(&[rows, n]), None);
                let _ = built.coordinates(&zeros(&[rows, d]), None);
            }
            let _ = (built.embed(&zeros(&[]), None), built.coordinates(&zeros(&[d]), None));
        });
    }
}

/// Two layers of a generator of images, and their weights.
fn generator() -> (serde_json::Value, BTreeMap<String, Tensor>) {
    let transposed = json!({ "kind": "conv_transpose", "tensors": "1", "stride": 2, "padding": 1,
        "output_padding": 1, "bias": false });
    let config = json!({
        "weights": "none", "inputs": 2, "channels_last": true,
        "layers": [
            { "kind": "linear", "tensors": "0" }, { "kind": "reshape", "shape": [1, 2, 2] }, transposed,
            { "kind": "average", "factor": 2 }, { "kind": "scale", "factor": 2.5, "shift": 0.5 },
        ],
        "fixed": { "free": [1], "values": [0.5, 0.5] },
    });
    let ones = |shape: &[usize]| Tensor::ones(shape, DType::F64, &Device::Cpu).unwrap();
    let named = [("0.weight", &[4, 2][..]), ("0.bias", &[4]), ("1.weight", &[1, 1, 3, 3])];
    (config, named.map(|(name, shape)| (name.to_owned(), ones(shape))).into())
}

#[test]
fn no_number_of_a_generator_makes_it_panic() {
    let (config, tensors) = generator();
    let nearest = NearestConfig::default().with_starts(1, 1).with_steps(1);
    let run = |config: &serde_json::Value, tensors: &BTreeMap<String, Tensor>| {
        let config = serde_json::from_value::<GeneratorConfig>(config.clone()).ok()?;
        let built = Generator::build(&config, tensors.clone(), DType::F64, device()).ok()?;
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F64, device()).unwrap();
        let _ = built.nearest(&zeros(&[2, built.data_dim()]), &nearest);
        built.forward(&zeros(&[1, built.free_inputs()])).ok()
    };
    assert!(run(&config, &tensors).is_some(), "a generator");
    for (what, changed) in mutations(&config) {
        survives(&what, || run(&changed, &tensors));
    }
    // Files say of tensors without elements whatever they like.
    let none = Tensor::zeros((4, 0), DType::F64, &Device::Cpu).unwrap();
    let empty = Tensor::zeros((0, 2), DType::F64, &Device::Cpu).unwrap();
    for weight in [none, empty] {
        let mut tensors = tensors.clone();
        tensors.insert("0.weight".to_owned(), weight);
        survives("a weight without elements", || run(&config, &tensors));
    }
    let layers = vec![GeneratorLayer::Tanh];
    let built = Generator::build(
        &GeneratorConfig::new("none", 0, layers),
        BTreeMap::new(),
        DType::F64,
        device(),
    );
    let error = built.unwrap_err().to_string();
    assert!(error.contains("inputs") && error.contains("1 or more"), "{error}");
}

#[test]
fn no_rows_make_what_looks_at_them_panic() {
    let rows: [(&str, Vec<f64>); 7] = [
        ("none", vec![]),
        ("one", vec![1., 2.]),
        ("equal", vec![3.; 12]),
        ("not whole", vec![1.; 7]),
        ("NaN", vec![f64::NAN; 12]),
        ("infinite", vec![f64::INFINITY, 1., f64::NEG_INFINITY, 2.]),
        ("huge", (0..40).map(|i| f64::MAX * f64::from(i % 7 - 3) / 3.).collect()),
    ];
    for (what, x) in &rows {
        for cols in [0, 1, 2, 70, usize::MAX] {
            let what = format!("{what} of {cols} columns");
            survives(&what, || {
                let _ = standardize(x, cols);
                let _ = standardize_weighted(x, cols, &[1.; 6]);
                for most in [0, 1, usize::MAX] {
                    let _ = linear_span(x, cols, most);
                }
                if cols < usize::MAX {
                    let _ = standardize_blocks(x.len(), cols, |see| {
                        see(x);
                        Ok::<_, mflow_core::Error>(())
                    });
                    let _ = (PrincipalAxes::of(x, cols), PrincipalAxes::squares_of(x, cols));
                }
                for charts in [0, 1, usize::MAX] {
                    let _ = place_charts(x, cols, 1, charts);
                }
                for n in [0, 1, usize::MAX] {
                    for neighbours in [Some(0), Some(2), Some(usize::MAX), None] {
                        for method in [UnrollMethod::Isomap, UnrollMethod::TangentAlignment] {
                            let options = UnrollOptions {
                                method,
                                neighbours,
                                landmarks: usize::MAX,
                                seed: 0,
                            };
                            let _ = unroll(x, cols, n, &options);
                        }
                    }
                }
            });
        }
    }
    let wide: Vec<f64> = vec![f64::NAN; 3 * 70];
    survives("axes of NaN in many columns", || PrincipalAxes::of(&wide, 70));
    survives("axes of many rows of NaN", || PrincipalAxes::of(&vec![f64::NAN; 80 * 70], 70));
}

/// A generator from someone else may call anything its weights.
#[cfg(unix)]
#[test]
fn a_device_that_never_ends_is_no_file_of_tensors() {
    for path in ["/dev/zero", "/"] {
        let error = mflow_core::read_tensors(std::path::Path::new(path)).unwrap_err().to_string();
        assert!(error.starts_with(path) && error.contains("found a folder or a device"), "{error}");
    }
}
