//! `mflow import`: what the Python package nflows computed with a flow, and a model of our own under the names of the published code.
use crate::folder::Folder;
use mflow::core::candle::{DType, Device, Tensor, safetensors};
use mflow::core::{load_model, read_tensors};
use std::collections::HashMap;
use std::path::Path;

/// The flow of the fixture `coupling_rq`.
const COUPLING: &str = r#"
[model]
kind = "af"
data_dim = 5

[model.inner]
kind = "custom"

[model.inner.bijector]
kind = "inverted"

[model.inner.bijector.of]
kind = "coupling"
dim = 5
mask = "even"
map = { kind = "rational_quadratic", bins = 5, tail_bound = 3.0 }
net = { hidden = 8, blocks = 1 }
"#;

fn numbers(t: &Tensor) -> Vec<f64> {
    let t = t.flatten_all().and_then(|t| t.to_dtype(DType::F64)).expect("numbers");
    t.to_vec1().expect("numbers")
}

fn gap(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims(), "shapes");
    numbers(a).iter().zip(numbers(b)).map(|(a, b)| (a - b).abs()).fold(0., f64::max)
}

/// The fixture `coupling_rq`, and a state dict of a flow of it, whose names are behind `prefix`.
fn coupling(folder: &Folder, prefix: &str) -> HashMap<String, Tensor> {
    let path = Path::new("../mflow-bijectors/tests/fixtures/coupling_rq.safetensors");
    let fixture = safetensors::load(path, &Device::Cpu).expect("a fixture");
    let state = fixture.iter().filter_map(|(name, t)| {
        Some((format!("{prefix}{}", name.strip_prefix("param.")?), t.clone()))
    });
    let mut state: HashMap<String, Tensor> = state.collect();
    let constant = Tensor::new(&[4.59], &Device::Cpu).expect("a tensor");
    state.insert("_distribution._log_z".to_owned(), constant);
    safetensors::save(&state, folder.path("flow.safetensors")).expect("it is written");
    folder.write("flow.toml", COUPLING.as_bytes());
    fixture
}

const IMPORT: &str = "import flow.safetensors --config flow.toml --out model.safetensors";

#[test]
fn a_flow_of_nflows_has_the_latents_and_densities_of_nflows() {
    for prefix in ["_transform.", "_transform._transforms.0.", "transform._transforms.0.", ""] {
        let folder = Folder::new();
        let fixture = coupling(&folder, prefix);
        folder.succeeds(IMPORT);
        let loaded = load_model(&folder.path("model.safetensors"), None, &Device::Cpu);
        let model = loaded.expect("a model").model;
        let [x, y, log_det] = ["x", "y", "log_det"].map(|name| &fixture[name]);
        let latent = model.encode(x, None).expect("latents");
        assert!(gap(&latent, y) < 1e-10, "`{prefix}`: latents are off by {}", gap(&latent, y));
        let square = y.sqr().and_then(|y| y.sum(1)).expect("sums");
        let normal = 5. * (2. * std::f64::consts::PI).ln();
        let expected = ((log_det - (square * 0.5).expect("halves")).expect("a density")
            - 0.5 * normal)
            .expect("a density");
        let found = model.log_prob(x, None).expect("densities");
        assert!(gap(&found, &expected) < 1e-10, "`{prefix}`: off by {}", gap(&found, &expected));
    }
}

/// Their name of a parameter of ours.
fn theirs(name: &str) -> String {
    let (group, rest) = name.split_once('.').expect("a group");
    let (layer, rest) = rest.split_once('.').expect("a layer");
    let layer: usize = layer.parse().expect("a number");
    let parts = [
        ("net.", "transform_net."),
        ("initial.", "initial_layer."),
        ("final.", "final_layer."),
        (".linear.", ".linear_layers."),
        ("permutation", "_permutation"),
    ];
    let rest =
        parts.iter().fold(rest.to_owned(), |name, (ours, theirs)| name.replace(ours, theirs));
    // Compositions within a composition, more than 9 of them.
    format!("{group}_transform._transforms.{}._transforms.{}.{rest}", layer / 2, layer % 2)
}

#[test]
fn an_m_flow_under_the_names_of_the_published_code_is_the_same_model() {
    let folder = Folder::new();
    let fit = "fit data.csv --model m-flow --manifold-dim 1 --epochs 1 --config small.toml";
    folder.succeeds(&format!("{fit} --set model.outer.layers=12 --out run"));
    let path = folder.path("run/model.safetensors");
    let card = load_model(&path, None, &Device::Cpu).expect("a model").card;
    let ours = read_tensors(&path).expect("tensors").tensors;
    let state = ours.iter().map(|(name, t)| match t.dtype() {
        DType::U32 => (theirs(name), t.to_dtype(DType::I64).expect("indices")),
        _ => (theirs(name), t.clone()),
    });
    let state: HashMap<String, Tensor> = state.collect();
    assert!(state.keys().any(|name| name.contains("_transforms.10.")), "numbers of two digits");
    safetensors::save(&state, folder.path("flow.safetensors")).expect("it is written");
    let config = toml::Table::from_iter([(
        "model".to_owned(),
        toml::Value::try_from(&card.config).expect("a table"),
    )]);
    folder.write("flow.toml", config.to_string().as_bytes());
    folder.succeeds(IMPORT);
    let imported = read_tensors(&folder.path("model.safetensors")).expect("tensors").tensors;
    assert_eq!(imported.len(), ours.len(), "as many tensors");
    for (name, t) in &ours {
        assert_eq!(gap(&imported[name], t), 0., "{name}");
    }
    folder.succeeds("score run data.csv --out ours.npz");
    folder.succeeds("score model.safetensors data.csv --out imported.npz");
    assert_eq!(folder.read("ours.npz"), folder.read("imported.npz"), "the same scores");
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let folder = Folder::new();
    coupling(&folder, "_transform._transforms.0.");
    let with = |from: &str, to: &str| {
        assert!(COUPLING.contains(from), "{from}");
        folder.write("flow.toml", COUPLING.replace(from, to).as_bytes());
    };
    with("hidden = 8", "hidden = 9");
    folder.fails(IMPORT, 1, &["flow.safetensors does not fit flow.toml", "shape", "inner."]);
    with("blocks = 1", "blocks = 2");
    folder.fails(IMPORT, 1, &["missing", "inner.net.blocks.1"]);
    with("kind = \"inverted\"", "kind = \"inverted\"\nof2 = 1");
    folder.fails(IMPORT, 1, &["of2"]);
    with("kind = \"af\"", "kind = \"vae\"");
    folder.fails(IMPORT, 1, &["flow.toml"]);
    let chain = "kind = \"custom\"\nbijector = { kind = \"chain\", layers = [{ kind = \"lu_linear\", dim = 5 }, \
                 { kind = \"lu_linear\", dim = 5 }] }";
    let start = COUPLING.split("kind = \"custom\"").next().expect("a start");
    folder.write("flow.toml", format!("{start}{chain}").as_bytes());
    folder.fails(IMPORT, 1, &["1 transforms", "found 2 maps"]);
    folder.write("flow.safetensors", b"nothing");
    folder.fails(IMPORT, 1, &["flow.safetensors", "safetensors file"]);
}
