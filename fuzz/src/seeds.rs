//! Valid files of every kind, small: what fuzzing starts from. They are written by the library, and by the tools behind the
//! fixtures of `mflow-data` where the library only reads.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use flate2::Compression;
use flate2::write::GzEncoder;
use mflow::bijectors::{ImageFlowConfig, NetConfig, ParamStore, SplineFlowConfig};
use mflow::core::candle::{DType, Device, Tensor};
use mflow::core::{ChartConfig, ModelCard, ModelConfig, RowLayout, save_model, write_tensors};
use mflow::data::io::{Array, Dtype, npy_bytes, write_csv, write_npz};
use mflow::train::Schedule;
use serde_json::{Value, json};

use crate::files::BETWEEN;
use crate::{files, scratch};

/// An input of a target, with the name of its file.
#[derive(Debug)]
pub struct Seed {
    /// The target.
    pub target: &'static str,
    /// The name, which starts as [`crate::corpus::KEPT`] says.
    pub name: String,
    /// What the target is fed with.
    pub bytes: Vec<u8>,
}

/// All of them.
pub fn all() -> Vec<Seed> {
    let mut all = Seeds(vec![]);
    tables(&mut all);
    fixtures(&mut all);
    models(&mut all);
    runs(&mut all);
    maps(&mut all);
    texts(&mut all);
    questions(&mut all);
    all.0
}

struct Seeds(Vec<Seed>);

impl Seeds {
    fn add(&mut self, target: &'static str, name: impl AsRef<str>, bytes: impl Into<Vec<u8>>) {
        let name = format!("seed-{}", name.as_ref());
        self.0.push(Seed { target, name, bytes: bytes.into() });
    }
}

/// The bytes of the file that `write` writes.
fn written(name: &str, write: impl FnOnce(&Path)) -> Vec<u8> {
    let path = scratch::folder().join(name);
    write(&path);
    std::fs::read(path).expect("a file that was written")
}

fn with_option(how: u8, bytes: &[u8]) -> Vec<u8> {
    [&[how], bytes].concat()
}

fn tables(all: &mut Seeds) {
    let values = [0.5, -1.25, 3., 4e10, -5e-3, 6.];
    let matrix = Array::matrix(3, 2, &values, Dtype::F64).expect("a matrix");
    let single = Array::matrix(2, 3, &values, Dtype::F32).expect("a matrix");
    let stack = Array::stack([3, 2, 1], &values, Dtype::F64).expect("a stack");
    for (name, array) in [("matrix", matrix), ("single", single), ("stack", stack)] {
        all.add("npy", name, npy_bytes(&array).expect("numbers"));
    }
    all.add("gzip", "npy", packed(&npy_bytes(&matrix).expect("numbers")));
    all.add("gzip", "csv", packed(b"a,b\n1,2\n3,4\n"));
    all.add("gzip", "two", [packed(b"1,2\n"), packed(b"3,4\n")].concat());
    all.add(
        "npz",
        "one",
        written("one.npz", |path| write_npz(path, &[("x", matrix)]).expect("an archive")),
    );
    let several = [("theta", single), ("x", stack), ("../y", matrix)];
    all.add(
        "npz",
        "several",
        written("several.npz", |path| write_npz(path, &several).expect("an archive")),
    );
    let names = ["mass".to_owned(), "a \"quoted\", name".to_owned()];
    let named = matrix.with_columns(&names).expect("names");
    all.add(
        "csv",
        "named",
        with_option(0, &written("named.csv", |path| write_csv(path, &named).expect("a table"))),
    );
    for (name, how, text) in [
        ("semicolons", 0, "a;b\n1;2\n3;NA\n"),
        ("commas", 1, "1,2\n3,4\n"),
        ("blanks", 2, "1.5  2.5\n3 4\n"),
        ("tabs", 0, "x\ty\n1\t2\n"),
        ("missing", 0b1_0000, "a,b\n1,\n2,3\n,NaN\n"),
        ("comments", 0b10_0000, "# about\n1,2\n# more\n3,4\n"),
        ("first", 0b100_0000, "1,text\n2,more\n"),
        ("header", 0b100, "0,1\n5,6\n7,8\n"),
        ("marked", 0, "\u{feff}a,b\n1,2\n"),
        ("comma", 0, "1,5;2,5\n"),
    ] {
        all.add("csv", name, with_option(how, text.as_bytes()));
    }
    let idx = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 128, 255, 7];
    all.add("idx", "images", idx);
    all.add("idx", "packed", packed(&idx));
    all.add("lhe", "events", EVENTS);
    all.add("lhe", "packed", packed(EVENTS.as_bytes()));
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes).expect("memory");
    packer.finish().expect("memory")
}

/// An event with all that events may have, and a plain one.
const EVENTS: &str = r#"<LesHouchesEvents version="3.0">
<!-- a comment -->
<header>
<initrwgt>
<weight id='1001'> muR=1 </weight><weight id="1002"> muR=2 </weight>
</initrwgt>
</header>
<init>
2212 2212 6.5e3 6.5e3 0 0 247000 247000 -4 1
</init>
<event npLO="1">
 2 1 +1.25e-03 9.1e+01 7.5e-03 1.2D-01
 21 -1 0 0 501 502 0.0 0.0 50.0 50.0 0.0 0.0 9.0
 22 1 1 2 0 0 3.0 4.0 1.0 5.5 0.0 0.0 1.0
<rwgt><wgt id='1001'> 1.5e-3 </wgt><wgt id="1002"> -2.5e-3 </wgt></rwgt>
</event>
<event>
 1 2 -1.0 0 0 0
 1 1 0 0 0 0 1 1 1 2 0 0 9
<weights> 0.5 0.25 </weights>
</event>
</LesHouchesEvents>
"#;

/// What only other tools write: tables of pandas, pyarrow and NumPy, images of Pillow.
fn fixtures(all: &mut Seeds) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/mflow-data/tests/fixtures");
    let read = |name: &str| std::fs::read(folder.join(name)).expect("a fixture of mflow-data");
    for name in ["none", "snappy", "gzip", "lz4", "zstd", "missing", "types", "index"] {
        all.add("parquet", name, read(&format!("{name}.parquet")));
    }
    for name in [
        "f2_big",
        "f8_fortran",
        "i8_large",
        "images_fortran",
        "version3",
        "bool",
        "u1",
        "structured",
    ] {
        all.add("npy", name, read(&format!("{name}.npy")));
    }
    for name in ["halves", "several", "empty"] {
        let bytes = read(&format!("{name}.npz"));
        if bytes.len() < 4096 {
            all.add("npz", name, bytes);
        }
    }
    for name in ["type_09.idx", "type_0b.idx", "type_0d.idx", "type_0e.idx", "labels-idx1-ubyte"] {
        all.add("idx", name, read(&format!("images/{name}")));
    }
    let images = [
        "bits.png",
        "deep.png",
        "grey.png",
        "opaque.png",
        "palette.png",
        "rgb.jpg",
        "rgb.png",
        "transparent.png",
        "turned.jpg",
    ];
    for (i, name) in images.into_iter().enumerate() {
        let how = [0, 0b100_0000, 0b1001, 0b1_0001, 0b10_0100, 0b1000_0000][i % 6];
        all.add("image", name, with_option(how, &read(&format!("images/{name}"))));
    }
}

/// One coupling and networks of four units.
fn flow() -> SplineFlowConfig {
    let mut flow = SplineFlowConfig::default();
    (flow.layers, flow.bins, flow.hidden, flow.blocks) = (1, 3, 4, 1);
    flow
}

fn small(config: ModelConfig) -> ModelConfig {
    let config = config.with_networks(NetConfig::new(4, 1)).with_outer(flow());
    if config.chart().is_some() { config } else { config.with_inner(flow()) }
}

/// Every kind of model, small, by its name.
pub(crate) fn kinds() -> Vec<(&'static str, ModelConfig)> {
    let circle = || ChartConfig::Hypersphere { dim: 1, radius: 1.5, center: vec![0.5, -1.] };
    let x: Vec<f64> = (0..40).map(|i| f64::from(i * i % 17)).collect();
    let units = |d| mflow::bijectors::FeatureAffineConfig::new(vec![0.5; d], vec![2.; d]);
    let placed = |config: ModelConfig| small(config).place_charts(&x).expect("charts");
    vec![
        ("af", small(ModelConfig::af(2)).with_normalization(units(2))),
        ("fom", small(ModelConfig::fom(circle()))),
        ("pie", small(ModelConfig::pie(3, 1))),
        ("flat", small(ModelConfig::m_flow(2, 1)).start_flat(&x).expect("axes")),
        ("closed", small(ModelConfig::m_flow_on(circle(), 3))),
        ("atlas", placed(ModelConfig::atlas(2, 1, 2))),
        ("me-flow", small(ModelConfig::me_flow(3, 1)).with_context(1).with_conditional_manifold()),
        ("pae", small(ModelConfig::pae(3, 1)).with_context(2).with_context_normalization(units(2))),
        ("free-form", small(ModelConfig::free_form(3, 1))),
        ("free-form-atlas", placed(ModelConfig::free_form_atlas(2, 1, 2))),
        ("vae", small(ModelConfig::vae(3, 1))),
        ("rif", small(ModelConfig::rif(3, 1))),
        ("ratio", ModelConfig::ratio(2, 1).with_networks(NetConfig::new(4, 1))),
    ]
}

/// The file of a model, without a checksum: with one, whatever is changed is refused before it is read.
fn file_of(config: &ModelConfig) -> Vec<u8> {
    let mut store = ParamStore::new(1, DType::F64, &Device::Cpu);
    config.build(&mut store, |_| true).expect("a model");
    let columns = Some((0..config.sizes.data_dim).map(|i| format!("c{i}")).collect());
    let provenance = BTreeMap::from([("seed".to_owned(), "1".to_owned())]);
    let card =
        ModelCard { config: config.clone(), columns, layout: RowLayout::default(), provenance };
    unchecked(written("model", |path| save_model(path, &card, &store).expect("a file")))
}

/// A file of tensors whose checksum has another name, so that it is none.
fn unchecked(mut bytes: Vec<u8>) -> Vec<u8> {
    let key = b"\"checksum\"";
    if let Some(at) = bytes.windows(key.len()).position(|window| window == key) {
        bytes[at..at + key.len()].copy_from_slice(b"\"unproved\"");
    }
    bytes
}

/// The file of a small model of two columns.
pub(crate) fn small_model() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| file_of(&files::toy().0))
}

/// The file of a small model of three columns, given one.
pub(crate) fn conditional_model() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| file_of(&small(ModelConfig::m_flow(3, 1)).with_context(1)))
}

/// The rows beside the small model in the folder of a run.
pub(crate) fn small_points() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let write = || {
        npy_bytes(&Array::matrix(2, 2, &[1., 2., 3., 4.], Dtype::F64).expect("rows"))
            .expect("numbers")
    };
    BYTES.get_or_init(write)
}

fn models(all: &mut Seeds) {
    for (name, config) in kinds() {
        all.add("model_config", name, json!(config).to_string());
        // Few of the files, as they are large.
        if ["af", "closed", "ratio"].contains(&name) {
            all.add("model", name, file_of(&config));
        }
    }
    let text = toml::to_string(&files::toy().0).expect("a config as TOML");
    all.add("model_config", "toml", text);
    all.add(
        "model_config",
        "bare",
        "{\"kind\":\"fom\",\"chart\":{\"kind\":\"torus\",\"major\":2.0,\"minor\":0.5}}",
    );
    for chart in [
        json!({ "kind": "zero_padding", "coordinate_dim": 1, "data_dim": 3 }),
        json!({ "kind": "flat_torus", "radii": [0.5, 1.5] }),
        json!({ "kind": "linear_subspace", "basis": [[1.5, 0.5]], "offset": [0.5, 0.5] }),
        json!({ "kind": "stereographic", "radius": 1.5, "center": [0.5, 1.5, 2.5] }),
    ] {
        let name = chart["kind"].as_str().unwrap_or_default().to_owned();
        all.add("model_config", name, json!({ "kind": "fom", "chart": chart }).to_string());
    }
    all.add("model", "toy", small_model());
    let transposed = json!({ "kind": "conv_transpose", "tensors": "1", "stride": 2, "padding": 1, "output_padding": 1,
        "bias": false });
    let config = json!({
        "weights": "weights.safetensors", "inputs": 2, "channels_last": true,
        "layers": [
            { "kind": "linear", "tensors": "0" }, { "kind": "reshape", "shape": [1, 2, 2] }, transposed,
            { "kind": "leaky_relu", "slope": 0.2 }, { "kind": "average", "factor": 2 },
            { "kind": "scale", "factor": 2.5, "shift": 0.5 },
        ],
        "fixed": { "free": [1], "values": [0.5, 0.5] },
    });
    let ones = |shape: &[usize]| Tensor::ones(shape, DType::F32, &Device::Cpu).expect("ones");
    let named = [("0.weight", &[4, 2][..]), ("0.bias", &[4]), ("1.weight", &[1, 1, 3, 3])];
    let tensors = named.map(|(name, shape)| (name.to_owned(), ones(shape))).into();
    let weights = |path: &Path| write_tensors(path, &tensors, BTreeMap::new()).expect("a file");
    let weights = unchecked(written("weights.safetensors", weights));
    let text = toml::to_string(&config).expect("a config as TOML");
    all.add("generator", "images", [text.as_bytes(), BETWEEN, &weights].concat());
}

/// Files of a folder, one after the other.
fn joined(folder: &Path, names: &[&str]) -> Vec<u8> {
    let read = |name: &&str| std::fs::read(folder.join(name)).unwrap_or_default();
    names.iter().map(read).collect::<Vec<_>>().join(BETWEEN)
}

fn runs(all: &mut Seeds) {
    let folder = scratch::folder().join("run of the seeds");
    // Stopped at once, so that there is a checkpoint to go on from.
    files::train(&folder, false, &AtomicBool::new(true)).expect("a run");
    let names = ["run.json", "metrics.jsonl", "attempts.json", "checkpoint.safetensors"];
    all.add("resumed", "stopped", unchecked(joined(&folder, &names)));
    files::train(&folder, true, &AtomicBool::new(false)).expect("a run");
    all.add("resumed", "finished", unchecked(joined(&folder, &names)));
    let metrics = std::fs::read(folder.join("metrics.jsonl")).expect("metrics");
    std::fs::remove_dir_all(&folder).expect("a folder in the temporary folder");

    let (model, train, _) = files::toy();
    let config = json!({ "seed": 1, "dtype": "f64", "model": model, "train": train });
    let config = toml::to_string(&config).expect("a config as TOML");
    let estimate = json!({ "value": 0.5, "standard_error": 0.1, "count": 10 });
    let held_out = json!({ "rows": 2, "chose_weights": true, "reconstruction_error": estimate, "outliers": 1,
        "not_finite": 0, "next": ["more epochs"] });
    let attempts = json!([{ "stage": "manifold", "attempt": 0, "error": null, "limit": 0.5, "failed": true, "updates": 7,
        "seconds": 0.5 }]);
    let join = |config: &str, result: &Value| {
        let parts = [
            config.as_bytes().to_vec(),
            result.to_string().into(),
            metrics.clone(),
            attempts.to_string().into(),
        ];
        parts.join(BETWEEN)
    };
    all.add("run_folder", "fit", join(&config, &held_out));
    let report = json!({ "name": "toy", "model": "m-flow", "seed": 1, "metrics": { "log_prob": estimate },
        "attempts": attempts, "seconds": { "train": 1.0, "total": 2.0 }, "peak_memory_mib": 10.5, "round_trip_error": 1e-9 });
    let text = experiment("data = { simulator = \"circle\", rows = 100 }");
    all.add("run_folder", "experiment", join(&text, &report));
}

/// An experiment with these data.
fn experiment(data: &str) -> String {
    let (model, train, _) = files::toy();
    let rest =
        toml::to_string(&json!({ "model": model, "train": train })).expect("a config as TOML");
    format!("name = \"toy\"\nseed = 3\n{data}\n{rest}")
}

fn maps(all: &mut Seeds) {
    let net = json!(NetConfig::new(4, 1));
    let spline =
        json!(mflow::bijectors::UnivariateConfig::RationalQuadratic { bins: 4, tail_bound: 3. });
    let circular = json!(mflow::bijectors::UnivariateConfig::CircularRationalQuadratic { bins: 4 });
    let reshape = json!({ "kind": "reshape", "latent": [8], "data": [2, 2, 2] });
    let squeeze = json!({ "kind": "squeeze", "shape": [2, 2, 2], "factor": 2 });
    let maps = [
        json!({ "kind": "coupling", "dim": 3, "context_dim": 2, "mask": "even", "map": spline, "net": net }),
        json!({ "kind": "coupling", "dim": 3, "mask": { "moved": [0, 2] }, "net": net }),
        json!({ "kind": "circular_coupling", "dim": 3, "context_dim": 1, "mask": "odd", "map": circular, "net": net }),
        json!({ "kind": "image_coupling", "shape": [2, 2, 2], "context_dim": 1, "mask": "even", "map": spline, "net": net }),
        json!({ "kind": "autoregressive", "dim": 3, "context_dim": 1, "map": spline, "net": net }),
        json!({ "kind": "elementwise", "shape": [2, 2], "map": spline }),
        json!({ "kind": "tanh_mixture", "shape": [2], "components": 2 }),
        json!({ "kind": "residual_block", "dim": 2, "context_dim": 1, "hidden": 4, "layers": 2, "lipschitz": 0.5 }),
        json!({ "kind": "angle_shift", "dim": 2 }),
        json!({ "kind": "permutation", "dim": 3, "order": { "listed": [2, 0, 1] } }),
        json!({ "kind": "permutation", "dim": 3, "order": { "kept_first": { "moved": [1] } } }),
        json!({ "kind": "lu_linear", "dim": 3 }),
        json!({ "kind": "qr_linear", "dim": 3, "reflections": 2 }),
        json!({ "kind": "svd_linear", "dim": 3, "reflections": 2 }),
        json!({ "kind": "orthogonal", "dim": 3, "reflections": 2 }),
        json!({ "kind": "feature_affine", "shift": [0.5, 1.0], "scale": [2.0, 3.0] }),
        json!({ "kind": "act_norm", "dim": 2 }),
        json!({ "kind": "batch_norm", "dim": 2 }),
        json!({ "kind": "gaussianize", "dim": 2, "bins": 4, "tail_bound": 3.0 }),
        json!({ "kind": "scaling", "dim": 2 }),
        json!({ "kind": "special_conformal", "dim": 2 }),
        json!({ "kind": "inversion", "dim": 2 }),
        json!({ "kind": "pixelwise", "height": 2, "width": 2, "of": { "kind": "lu_linear", "dim": 2 } }),
        json!({ "kind": "multiscale", "levels": [squeeze] }),
        json!({ "kind": "concat", "parts": [{ "kind": "lu_linear", "dim": 2 }, { "kind": "act_norm", "dim": 1 }] }),
        json!({ "kind": "partial", "dim": 3, "features": [0, 2], "of": { "kind": "lu_linear", "dim": 2 } }),
        json!({ "kind": "chain", "layers": [reshape, { "kind": "inverted", "of": reshape }] }),
    ];
    for (i, map) in maps.iter().enumerate() {
        let kind = map["kind"].as_str().unwrap_or_default();
        all.add("bijector_config", format!("{i}-{kind}"), map.to_string());
    }
    let image = ImageFlowConfig::new(&[4, 4, 1]).with_depth(1, 1).with_net(NetConfig::new(4, 1));
    if let Ok(map) = image.bijector(0) {
        all.add("bijector_config", "image", json!(map).to_string());
    }
}

fn texts(all: &mut Seeds) {
    let (model, train, _) = files::toy();
    for (name, schedule) in [
        ("sequential", Schedule::Sequential),
        ("alternating", Schedule::Alternating),
        ("simultaneous", Schedule::Simultaneous),
    ] {
        let config = schedule.config(&model, 3).expect("a schedule");
        all.add("train_config", name, json!(config).to_string());
    }
    all.add("train_config", "toml", toml::to_string(&train).expect("a config as TOML"));
    all.add(
        "train_config",
        "named",
        "schedule = \"sequential\"\nepochs = 3\nrestarts = 2\nphases = []\n",
    );

    for (name, data) in [
        ("simulator", "data = { simulator = \"circle\", rows = 100, normalize = \"none\" }"),
        ("file", "data = { file = \"x.csv\", test_fraction = 0.2, weights = \"w.csv\" }"),
        ("images", "data = { images = { train = \"a\", test = \"b\" } }"),
        ("scenes", "data = { scenes = { factors = 2, side = 16, rows = 10 } }"),
    ] {
        all.add("experiment", name, experiment(data));
    }
    all.add(
        "settings",
        "lines",
        "model.outer.layers=3\ntrain.phases[0].epochs=7\nseed = 5\ndtype=f64\nmodel.kind=pie\n\n[model]\ninner.bins = 4\n",
    );
    all.add(
        "settings",
        "lists",
        "train.phases=[]\nmodel.normalization={ shift = [1, 2], scale = [1, 2] }\n\nseed = 9\n",
    );
    all.add("settings", "wrong", "a.b=c\nmodel.kind=\"x\"\n=\n\n[model\n");
}

fn questions(all: &mut Seeds) {
    for (name, how, body) in [
        ("score", 0, "{\"x\": [[0.1, 0.2], [0.3, -1e3]]}"),
        ("row", 0, "{\"x\": [0.1, 0.2]}"),
        ("given", 0x80, "{\"x\": [[0.1, 0.2, 3]], \"context\": [[1.0]]}"),
        ("decode", 6, "{\"latent\": [[0.1]]}"),
        ("sample", 8, "{\"n\": 10, \"seed\": 3, \"on_manifold\": true}"),
        ("sample-given", 0x88, "{\"n\": 2, \"context\": [0.5]}"),
    ] {
        all.add("service", name, with_option(how, body.as_bytes()));
    }
    all.add("service", "npy", with_option(1, small_points()));
}
