//! The page about a run, and about several.
use crate::folder::Folder;
use mflow::bijectors::Stream;
use mflow::core::candle::{DType, Device, Tensor};
use mflow::core::load_model;
use mflow::data::io::read_table;
use serde_json::Value;
use std::fmt::Write;

const EXPERIMENT: &str = "
name = \"one <b>circle</b> & more\"
seed = 1
[data]
simulator = \"circle\"
rows = 300
[model]
kind = \"m-flow\"
data_dim = 2
manifold_dim = 1
outer = { layers = 2, hidden = 8, blocks = 1 }
inner = { layers = 2, hidden = 8, blocks = 1 }
[evaluation]
samples = 100
test_rows = 100
[train]
shards = 1
schedule = \"sequential\"
epochs = 2
";

/// A page without plotly.js, and the JSON in it.
struct Page {
    ours: String,
    json: Vec<Value>,
}

impl Page {
    #[track_caller]
    fn read(folder: &Folder, name: &str) -> Self {
        let page = String::from_utf8(folder.read(name)).expect("text");
        let (before, rest) = page.split_once("<script>").expect("a script");
        let (plotly, after) = rest.split_once("</script>").expect("its end");
        assert!(plotly.contains("plotly.js v"), "the script that draws is in the page");
        let blocks = before.split("<script type=\"application/json\">").skip(1);
        let text = |block: &str| block.split("</script>").next().expect("an end").to_owned();
        let json = blocks.map(|block| serde_json::from_str(&text(block)).expect("JSON"));
        let (json, ours) = (json.collect(), format!("{before}{after}"));
        for request in ["http:", "https:", "src=", "href=", "url(", "@import"] {
            assert!(!ours.contains(request), "{name} needs nothing else, found {request}");
        }
        assert!(ours.len() < 1_000_000, "{} bytes beside the script", ours.len());
        Self { ours, json }
    }

    /// The cells of the table of this class, row by row.
    fn table(&self, class: &str) -> Vec<Vec<String>> {
        let start = format!("<table class=\"{class}\">");
        let (_, table) = self.ours.split_once(&start).expect("the table");
        let body = table.split("</table>").next().expect("its end").split("<tbody>").nth(1);
        let cells = |row: &str| {
            let cells = row.split("</td>").filter_map(|cell| cell.rsplit_once('>'));
            cells.map(|(_, text)| text.to_owned()).collect()
        };
        body.expect("a body").split("</tr>").filter(|row| row.contains("<td")).map(cells).collect()
    }
}

/// The trace of a figure with this name.
#[track_caller]
fn trace<'a>(figure: &'a Value, name: &str) -> &'a Value {
    let traces = figure["data"].as_array().expect("traces");
    traces.iter().find(|trace| trace["name"] == name).expect("the trace")
}

/// Numbers, however deep; NaN for null.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap_or(f64::NAN)],
    }
}

/// The points of a trace, `[n, 3]`.
fn points(trace: &Value) -> Vec<[f64; 3]> {
    let [x, y, z] = ["x", "y", "z"].map(|axis| numbers(&trace[axis]));
    x.into_iter().zip(y).zip(z).map(|((x, y), z)| [x, y, z]).collect()
}

#[test]
fn the_figure_of_a_fit_is_the_manifold_of_its_model() {
    let folder = Folder::fitted();
    let page = Page::read(&folder, "run/report.html");
    let learned = trace(&page.json[0], "learned manifold");
    assert_eq!(
        (&learned["type"], &learned["mode"]),
        (&"scatter3d".into(), &"lines".into()),
        "a line"
    );
    let shown = points(learned);
    assert!(shown.len() > 100, "{} points", shown.len());
    let loaded = load_model(&folder.path("run/model.safetensors"), Some(DType::F64), &Device::Cpu);
    let model = loaded.expect("a model").model;
    let x =
        Tensor::from_slice(shown.as_flattened(), (shown.len(), 3), &Device::Cpu).expect("a tensor");
    let off = model.reconstruction_error(&x, None).and_then(|e| Ok(e.to_vec1::<f64>()?));
    let worst = off.expect("distances").into_iter().fold(0., f64::max);
    assert!(worst < 1e-3, "the points are on the manifold: {worst}");
    let log_prob = model.log_prob(&x, None).and_then(|p| Ok(p.to_vec1::<f64>()?));
    let color = numbers(&learned["line"]["color"]);
    for (shown, expected) in color.iter().zip(log_prob.expect("densities")) {
        assert!((shown - expected).abs() < 1e-2 * (1. + expected.abs()), "{shown} and {expected}");
    }
    let axes = ["xaxis", "yaxis", "zaxis"]
        .map(|axis| &page.json[0]["layout"]["scene"][axis]["title"]["text"]);
    assert_eq!(axes, ["x", "y", "z"].map(Value::from).each_ref(), "the columns have names");
    let data = read_table(&folder.path("data.csv")).expect("a table").into_values();
    let shown = points(trace(&page.json[0], "data"));
    assert_eq!(shown.len(), 300, "the data");
    for (shown, expected) in shown.as_flattened().iter().zip(data) {
        assert!((shown - expected).abs() < 1e-4 * (1. + expected.abs()), "{shown}, {expected}");
    }
    assert_eq!(page.table("phases").len(), 2, "the phases");
    assert!(page.ours.contains("manifold_dim = 1"), "the config");
    // The default of the precision is written out, so the file itself is quoted.
    assert!(page.ours.contains("dtype = &quot;f32&quot;"), "escaped text of the config");
}

#[test]
fn the_report_of_an_experiment_has_its_metrics_and_the_truth() {
    let folder = Folder::new();
    folder.write("circle.toml", EXPERIMENT.as_bytes());
    folder.succeeds("run circle.toml --out a");
    let page = Page::read(&folder, "a/report.html");
    assert!(page.ours.contains("<h1>one &lt;b&gt;circle&lt;/b&gt; &amp; more</h1>"), "the name");
    assert!(!page.ours.contains("<b>"), "no text becomes a tag");
    let result: Value = serde_json::from_slice(&folder.read("a/result.json")).expect("JSON");
    let metrics = result["metrics"].as_object().expect("metrics");
    let table = page.table("metrics");
    assert_eq!(table.len(), metrics.len() + 1, "a row for each metric and the round trip");
    for row in &table {
        assert!(!row[1].is_empty(), "every metric is explained: {row:?}");
    }
    let truth = trace(&page.json[0], "true manifold");
    let (x, y) = (numbers(&truth["x"]), numbers(&truth["y"]));
    assert!(x.iter().zip(&y).all(|(x, y)| (x.hypot(*y) - 1.).abs() < 1e-3), "the unit circle");
    assert_eq!(truth["visible"], "legendonly", "it waits in the legend");
    assert_eq!(numbers(&trace(&page.json[0], "test data")["x"]).len(), 100, "the test data");

    // Two more of the same with another seed and another model.
    folder.succeeds("run circle.toml --set seed=2 --out b");
    folder.succeeds("run circle.toml --set seed=3 --out c");
    folder.succeeds("run circle.toml --set model.outer.hidden=9 --out d");
    folder.succeeds("plot a b c d --out all");
    let all = Page::read(&folder, "all/report.html");
    let folders: Vec<String> = all.table("runs").iter().map(|row| row[1].clone()).collect();
    assert_eq!(folders, ["a", "b", "c", "d"], "a row for each run");
    let medians = all.table("medians");
    assert_eq!(medians.len(), 2, "two configurations: {medians:?}");
    assert_eq!((medians[0][1].as_str(), medians[1][1].as_str()), ("3", "1"), "and their runs");
    assert!(medians[0][0].contains("M-flow, M/D sequential"), "{medians:?}");
    assert!(medians[0][0].contains("model.outer.hidden = 8"), "{medians:?}");
    assert!(medians[1][0].contains("model.outer.hidden = 9"), "{medians:?}");
    let mut errors = ["a", "b", "c"].map(|run| {
        let path = format!("{run}/result.json");
        let result: Value = serde_json::from_slice(&folder.read(&path)).expect("JSON");
        result["metrics"]["reconstruction_error"]["value"].as_f64().expect("a number")
    });
    errors.sort_by(f64::total_cmp);
    let column = metrics.keys().position(|name| name == "reconstruction_error").expect("a column");
    let median: f64 = medians[0][2 + column].parse().expect("a number");
    assert!((median - errors[1]).abs() < 1e-3 * errors[1], "{median} of {errors:?}");
    let views = all.json[0].as_array().expect("views");
    assert_eq!(views.len(), 2, "a view for each configuration");
}

#[test]
fn surfaces_are_grids_and_many_columns_become_components() {
    let mut stream = Stream::new(1, "rows of a test");
    let rows = stream.normal(5 * 300);
    let (mut three, mut five) = (String::new(), String::new());
    for row in rows.chunks_exact(5) {
        let [a, b, c, d, e] = [row[0], row[1], row[2], row[3], row[4]];
        writeln!(three, "{a},{b},{}", a * b).expect("a line");
        // Most of the variance is along the last column.
        writeln!(five, "{a},{b},{c},{d},{}", 30. * e).expect("a line");
    }
    let folder = Folder::new();
    folder.write("three.csv", three.as_bytes());
    folder.write("five.csv", five.as_bytes());
    let fit = "--config small.toml --epochs 2 --manifold-dim";
    folder.succeeds(&format!("fit three.csv {fit} 2 --out surface"));
    let page = Page::read(&folder, "surface/report.html");
    let learned = trace(&page.json[0], "learned manifold");
    assert_eq!(learned["type"], "surface", "a sheet");
    for part in ["x", "y", "z", "surfacecolor"] {
        let rows = learned[part].as_array().expect("rows");
        let square = rows.iter().all(|row| row.as_array().expect("a row").len() == rows.len());
        assert!(rows.len() > 20 && square, "{part}");
    }
    folder.succeeds(&format!("fit five.csv {fit} 3 --out five"));
    let page = Page::read(&folder, "five/report.html");
    let title = &page.json[0]["layout"]["scene"]["xaxis"]["title"]["text"];
    let share: f64 = title
        .as_str()
        .and_then(|t| t.strip_prefix("PC1 (")?.strip_suffix(" %)")?.parse().ok())
        .expect("a share");
    assert!(share > 50., "{title}: samples of five columns");
}

#[test]
fn what_is_no_finished_run_is_named() {
    let folder = Folder::fitted();
    std::fs::create_dir(folder.path("empty")).expect("a folder");
    folder.fails("plot run empty --out all", 1, &["empty", "config.toml", "none in it"]);
    folder.fails("plot nowhere", 1, &["nowhere", "nothing there"]);
    folder.fails("plot run run", 2, &["--out DIR"]);
    std::fs::remove_file(folder.path("run/report.html")).expect("it was there");
    assert!(folder.succeeds("plot run").contains("report.html"), "where it is");
    Page::read(&folder, "run/report.html");
    std::fs::remove_file(folder.path("run/model.safetensors")).expect("it was there");
    folder.fails("plot run", 1, &["run", "unfinished"]);
}
