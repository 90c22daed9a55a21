//! `mflow import` of whole flows. Oracle: flows of the Python package nflows, and what they compute (`xtask/fixtures/flows.py`).
use crate::folder::Folder;
use mflow::data::io::{Array, Dtype, Table, read_npz_array, write_npy};
use std::path::Path;

const FLOW: &str = "layers = 3, bins = 4, tail_bound = 3.0, hidden = 8, blocks = 2";

/// A folder with the files of a flow, and its config.
fn folder(name: &str) -> Folder {
    let folder = Folder::new();
    for extension in ["pt", "npz"] {
        let file = format!("{name}.{extension}");
        let path = Path::new("tests/fixtures").join(&file);
        folder.write(&file, &std::fs::read(path).expect("a fixture"));
    }
    let inner = format!("inner = {{ linear = 'lu', {FLOW} }}\n");
    let parts = match name {
        "af" => format!("kind = 'af'\ndata_dim = 3\ncontext_dim = 2\n{inner}"),
        _ => format!(
            "kind = 'm-flow'\ndata_dim = 3\nmanifold_dim = 2\nouter = {{ linear = 'lu', {FLOW} }}\n{}",
            inner.replace("'lu'", "'permutation'")
        ),
    };
    folder.write("flow.toml", format!("[model]\n{parts}").as_bytes());
    folder
}

fn array(folder: &Folder, file: &str, name: &str) -> Table {
    read_npz_array(&folder.path(file), name).expect("an array")
}

fn npy(folder: &Folder, name: &str, array: &Table) {
    let array = Array::matrix(array.rows(), array.cols(), array.values(), Dtype::F64);
    write_npy(&folder.path(name), &array.expect("a matrix")).expect("the file is written");
}

/// The largest difference of two arrays.
fn apart(a: &Table, b: &Table) -> f64 {
    assert_eq!(a.values().len(), b.values().len(), "as many numbers");
    let differences = a.values().iter().zip(b.values()).map(|(a, b)| (a - b).abs());
    differences.fold(0., f64::max)
}

#[test]
fn an_ambient_flow_has_the_density_of_nflows() {
    let folder = folder("af");
    folder.succeeds(
        "import af.pt --config flow.toml --out flow.safetensors --check af.npz --dtype f64",
    );
    for name in ["x", "context"] {
        npy(&folder, &format!("{name}.npy"), &array(&folder, "af.npz", name));
    }
    folder.succeeds("score flow.safetensors x.npy --context context.npy --out scores.npz");
    let (found, expected) =
        (array(&folder, "scores.npz", "log_prob"), array(&folder, "af.npz", "log_prob"));
    assert!(apart(&found, &expected) < 1e-8, "{}", apart(&found, &expected));
    folder.succeeds("import af.pt --config flow.toml --out single.safetensors --check af.npz");
}

#[test]
fn an_m_flow_has_manifold_latents_and_density_of_the_papers_code() {
    let folder = folder("m-flow");
    folder.succeeds(
        "import m-flow.pt --config flow.toml --out flow.safetensors --check m-flow.npz --dtype f64",
    );
    npy(&folder, "x.npy", &array(&folder, "m-flow.npz", "x"));
    folder.succeeds("score flow.safetensors x.npy --out scores.npz");
    for name in ["log_prob", "latent"] {
        let (found, expected) =
            (array(&folder, "scores.npz", name), array(&folder, "m-flow.npz", name));
        assert!(apart(&found, &expected) < 1e-8, "{name}: {}", apart(&found, &expected));
    }
    let errors = array(&folder, "scores.npz", "reconstruction_error");
    assert!(errors.values().iter().all(|error| *error < 1e-8), "on the manifold: {errors:?}");
}

#[test]
fn what_changes_no_shape_is_found_by_comparing() {
    let folder = folder("af");
    let text = String::from_utf8(folder.read("flow.toml")).expect("text");
    folder.write("flow.toml", text.replace("tail_bound = 3.0", "tail_bound = 4.0").as_bytes());
    let import = "import af.pt --config flow.toml --out flow.safetensors";
    folder.fails(&format!("{import} --check af.npz"), 1, &["af.npz", "row", "tail bounds"]);
    assert!(!folder.path("flow.safetensors").exists(), "nothing is left");
    folder.succeeds(import);
    folder.write("text.pt", b"no state");
    let parts = ["text.pt", "torch.save"];
    folder.fails("import text.pt --config flow.toml --out a.safetensors", 1, &parts);
}
