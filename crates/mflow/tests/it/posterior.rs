//! Posteriors by the program. Oracle: a model whose weights are set by hand, `x = A theta + noise`, and its posterior in
//! closed form; texts of refusals; bytes of runs on other threads.
use crate::folder::Folder;
use mflow::bijectors::{
    AffineScale, BijectorConfig, CouplingConfig, Mask, NetConfig, ParamStore, UnivariateConfig,
};
use mflow::core::candle::{DType, Device, Tensor};
use mflow::core::{ModelCard, ModelConfig, save_model};
use mflow::data::io::{npz_names, read_npz_array};
use std::collections::BTreeMap;

/// `x_i = a_i theta + SCALE z`.
const A: [[f64; 2]; 2] = [[1., 0.5], [-0.3, 0.8]];
const SCALE: f64 = 0.5;
const ROWS: [[f64; 2]; 4] = [[0.9, 0.1], [1.3, -0.4], [0.4, 0.3], [1.0, 0.6]];

/// A flow of two features given two parameters that is this Gaussian: one coupling for each feature, whose
/// conditioner is an affine map and looks at the parameters only.
fn gaussian(folder: &Folder, name: &str) {
    let coupling = |mask: Mask| {
        let net = NetConfig::new(2, 0);
        let map = UnivariateConfig::Affine { scale: AffineScale::Exp { bound: 5. } };
        CouplingConfig::new(2, mask).with_context(2).with_net(net).with_map(map)
    };
    let layers = [Mask::Even, Mask::Odd].map(|mask| BijectorConfig::Coupling(coupling(mask)));
    let inner = BijectorConfig::Chain { layers: layers.into() };
    let config = ModelConfig::af(2).with_context(2).with_inner(inner);
    let mut store = ParamStore::new(1, DType::F64, &Device::Cpu);
    config.build(&mut store, |_| false).expect("a model");
    let tensor = |values: Vec<f64>, like: &Tensor| {
        Tensor::from_vec(values, like.dims(), &Device::Cpu).expect("as many numbers")
    };
    // The hidden units are the parameters; the other feature does not count.
    let initial = vec![0., 1., 0., 0., 0., 1.];
    // u of the scale, exp(5 tanh(u/5)), and the shift.
    let u = 5. * (SCALE.ln() / 5.).atanh();
    let set = |(name, old): (String, Tensor)| {
        let row = A[usize::from(name.starts_with("inner.1."))];
        let values = match &name {
            name if name.ends_with("initial.weight") => initial.clone(),
            name if name.ends_with("initial.bias") => vec![0.; 2],
            name if name.ends_with("final.weight") => vec![0., 0., row[0], row[1]],
            name if name.ends_with("final.bias") => vec![u, 0.],
            name => panic!("a parameter that nobody set: {name}"),
        };
        let value = tensor(values, &old);
        (name, value)
    };
    let named: BTreeMap<_, _> = store.to_named().expect("names").into_iter().map(set).collect();
    store.assign(&named).expect("all of them");
    let card = ModelCard {
        config,
        columns: None,
        layout: Default::default(),
        provenance: BTreeMap::new(),
    };
    save_model(&folder.path(name), &card, &store).expect("a model file");
}

/// Mean and covariance of theta given rows, with independent normal priors of these means and deviations.
fn exact(rows: &[[f64; 2]], priors: [[f64; 2]; 2]) -> ([f64; 2], [[f64; 2]; 2]) {
    let n = rows.len() as f64;
    let square = SCALE * SCALE;
    let mut precision = [[0.; 2]; 2];
    let mut pull = [0.; 2];
    for (i, [mean, std]) in priors.into_iter().enumerate() {
        precision[i][i] += std.powi(-2);
        pull[i] += mean / std.powi(2);
        for k in 0..2 {
            pull[i] += A[k][i] * rows.iter().map(|x| x[k]).sum::<f64>() / square;
            for j in 0..2 {
                precision[i][j] += n * A[k][i] * A[k][j] / square;
            }
        }
    }
    let [[a, b], [c, d]] = precision;
    let determinant = a * d - b * c;
    let covariance = [[d / determinant, -b / determinant], [-c / determinant, a / determinant]];
    (covariance.map(|row| row[0] * pull[0] + row[1] * pull[1]), covariance)
}

/// The array `samples` of an archive, with its shape: no table, so read byte by byte.
fn samples(folder: &Folder, name: &str) -> (String, Vec<f64>) {
    let bytes = folder.read(name);
    let find = |what: &[u8], from: usize| {
        from + bytes[from..].windows(what.len()).position(|w| w == what).expect("it is there")
    };
    let start = find(b"\x93NUMPY", find(b"samples.npy", 0));
    let length = usize::from(bytes[start + 8]) + 256 * usize::from(bytes[start + 9]);
    let data = start + 10 + length;
    let header = String::from_utf8(bytes[start + 10..data].to_vec()).expect("text");
    let shape = header.split("'shape': (").nth(1).and_then(|rest| rest.split(')').next());
    let shape = shape.expect("a shape").to_owned();
    let count = shape.split(',').map(|n| n.trim().parse::<usize>().expect("a number")).product();
    let numbers = bytes[data..].chunks_exact(8).take(count);
    let numbers = numbers.map(|b| f64::from_le_bytes(b.try_into().expect("eight bytes")));
    (shape, numbers.collect())
}

fn csv(rows: &[[f64; 2]]) -> String {
    rows.iter().map(|[a, b]| format!("{a},{b}\n")).collect()
}

/// With the Gaussian, and rows that were observed.
fn folder() -> Folder {
    let folder = Folder::new();
    gaussian(&folder, "gauss.safetensors");
    folder.write("x.csv", csv(&ROWS).as_bytes());
    folder
}

const PRIORS: &str = "--prior normal:0,1 --prior normal:0.5,2";

#[test]
fn the_posterior_of_a_gaussian_is_that_in_closed_form() {
    let folder = folder();
    for sampler in ["nuts", "slice"] {
        let run = format!(
            "posterior gauss.safetensors x.csv {PRIORS} --names rate,log_scale --truth 0.8,-0.2 --sampler {sampler} \
             --out {sampler}"
        );
        let ended = folder.run(&run);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "no warning");
        let archive = format!("{sampler}/posterior.npz");
        let names = npz_names(&folder.path(&archive)).expect("names");
        assert_eq!(names, ["ess", "log_prob", "r_hat", "samples"]);
        let (shape, draws) = samples(&folder, &archive);
        assert_eq!(shape, "4, 1000, 2");
        let array = |name: &str| read_npz_array(&folder.path(&archive), name).expect("an array");
        let (r_hat, ess, log_prob) = (array("r_hat"), array("ess"), array("log_prob"));
        assert_eq!((log_prob.rows(), log_prob.cols()), (4, 1000));
        assert!(r_hat.values().iter().all(|r| *r < 1.01), "{r_hat:?}");
        let (mean, covariance) = exact(&ROWS, [[0., 1.], [0.5, 2.]]);
        let of = |f: &dyn Fn(&[f64]) -> f64| draws.chunks(2).map(f).sum::<f64>() / 4000.;
        let found = [0, 1].map(|k| of(&|theta| theta[k]));
        for k in 0..2 {
            let (std, size) = (covariance[k][k].sqrt(), ess.values()[k]);
            assert!(size > 1000., "{sampler}: {size}");
            let error = 4. * std / size.sqrt();
            assert!((found[k] - mean[k]).abs() < error, "{sampler}: {found:?}, {mean:?}");
            let variance = of(&|theta| (theta[k] - found[k]).powi(2));
            assert!((variance.sqrt() - std).abs() < error, "{sampler}: {variance}, {covariance:?}");
            // The table has the same numbers.
            let name = ["rate", "log_scale"][k];
            let row =
                ended.out.lines().find(|line| line.trim_start().starts_with(name)).expect(name);
            let cells: Vec<f64> =
                row.split_whitespace().skip(1).map(|c| c.parse().expect("a number")).collect();
            let expected = [(0, found[k], 0.01), (1, std, error), (6, size, 1.)];
            for (cell, expected, tolerance) in expected {
                assert!((cells[cell] - expected).abs() < tolerance, "{row}: {expected}");
            }
            for (cell, sign) in [(2, -1.), (3, 0.), (4, 1.)] {
                assert!((cells[cell] - mean[k] - sign * 1.645 * std).abs() < 0.2 * std, "{row}");
            }
        }
        // They are correlated, as their regression says.
        let together = of(&|theta| (theta[0] - found[0]) * (theta[1] - found[1]));
        let size = (covariance[0][0] * covariance[1][1]).sqrt();
        assert!((together - covariance[0][1]).abs() < 0.1 * size, "{together}, {covariance:?}");
        // Log-densities are quadratic forms around the mean, up to one constant.
        let [[a, b], [_, d]] = covariance;
        let form = |theta: &[f64]| {
            let [x, y] = [theta[0] - mean[0], theta[1] - mean[1]];
            -0.5 * (d * x * x - 2. * b * x * y + a * y * y) / (a * d - b * b)
        };
        let constants = draws.chunks(2).zip(log_prob.values()).map(|(theta, p)| p - form(theta));
        let constants: Vec<f64> = constants.collect();
        assert!(constants.iter().all(|c| (c - constants[0]).abs() < 1e-9), "{sampler}");
        assert!(folder.path(&format!("{sampler}/posterior.png")).is_file(), "the corner plot");
    }
    let html = String::from_utf8(folder.read("nuts/posterior.html")).expect("text");
    let (before, rest) = html.split_once("<script>").expect("a script");
    let (_, after) = rest.split_once("</script>").expect("its end");
    let ours = format!("{before}{after}");
    for request in ["http:", "https:", "src=", "href=", "url(", "@import"] {
        assert!(!ours.contains(request), "the page needs nothing else, found {request}");
    }
    for part in
        ["gauss.safetensors", "x.csv", "rate", "normal with mean 0.5", "NUTS", "true parameters"]
    {
        assert!(ours.contains(part), "{part}");
    }
    assert!(!ours.contains("Warning:"), "nothing is wrong");
    let traces = ours.split("<script type=\"application/json\">").skip(1);
    assert_eq!(traces.filter(|text| text.contains("\"chain 4\"")).count(), 2, "for each parameter");
    assert_eq!(ours.matches("<svg").count(), 1, "the corner plot");
}

const SHORT: &str = "--chains 3 --draws 40 --burn-in 30";

#[test]
fn threads_make_no_difference_and_the_seed_does() {
    let folder = folder();
    for (out, options) in
        [("a", "--threads 1"), ("b", "--threads 2"), ("c", "--threads 2 --seed 1")]
    {
        folder.succeeds(&format!(
            "posterior gauss.safetensors x.csv {PRIORS} {SHORT} {options} --format svg --out {out}"
        ));
    }
    for file in ["posterior.npz", "posterior.svg", "posterior.html"] {
        let [a, b, c] = ["a", "b", "c"].map(|out| folder.read(&format!("{out}/{file}")));
        assert!(a == b, "{file}: threads");
        assert!(a != c, "{file}: seeds");
    }
}

#[test]
fn each_set_has_results_of_its_own() {
    let folder = folder();
    let far = ROWS.map(|[a, b]| [a + 3., b]);
    folder.write("far.csv", csv(&far).as_bytes());
    folder.write("both.csv", (csv(&ROWS) + &csv(&far)).as_bytes());
    let run = |files: &str, out: &str| {
        let options = format!("--prior normal:0,3 --draws 300 --burn-in 100 --out {out}");
        folder.succeeds(&format!("posterior gauss.safetensors {files} {options}"))
    };
    let of_files = run("x.csv far.csv", "files");
    let of_rows = run("both.csv --rows-per-set 4", "rows");
    for set in ["set-1", "set-2"] {
        let [a, b] =
            ["files", "rows"].map(|out| folder.read(&format!("{out}/{set}/posterior.npz")));
        assert!(a == b, "{set}: the same rows");
        assert!(folder.path(&format!("files/{set}/posterior.png")).is_file(), "{set}");
    }
    for (set, rows) in [("set-1", ROWS), ("set-2", far)] {
        let (mean, covariance) = exact(&rows, [[0., 3.]; 2]);
        let (_, draws) = samples(&folder, &format!("rows/{set}/posterior.npz"));
        let found = draws.iter().step_by(2).sum::<f64>() / draws.len() as f64 * 2.;
        assert!(
            (found - mean[0]).abs() < 0.2 * covariance[0][0].sqrt(),
            "{set}: {found}, {mean:?}"
        );
    }
    assert!(of_files.contains("set 2: far.csv"), "{of_files}");
    for title in ["set 1: both.csv, rows 0 to 3", "set 2: both.csv, rows 4 to 7", "theta_2"] {
        assert!(of_rows.contains(title), "{title}: {of_rows}");
    }
    let html = String::from_utf8(folder.read("rows/posterior.html")).expect("text");
    assert!(html.contains("<h2>Set 2: both.csv, rows 4 to 7</h2>"), "all sets are on one page");
    assert_eq!(html.matches("<figure class=\"picture\">").count(), 2, "with their figures");
}

#[test]
fn chains_that_are_too_short_are_told_with_what_to_do() {
    let folder = folder();
    let run = format!(
        "posterior gauss.safetensors x.csv {PRIORS} --draws 20 --burn-in 0 --chains 2 --out p"
    );
    let ended = folder.run(&run);
    assert_eq!(ended.code, Some(0), "a warning is no failure: {}", ended.err);
    let parts =
        ["warning: x.csv: theta_1: the effective sample size is", "below 400", "Try --draws"];
    for part in parts {
        assert!(ended.err.contains(part), "{part}: {}", ended.err);
    }
    let html = String::from_utf8(folder.read("p/posterior.html")).expect("text");
    assert!(html.contains("Warning: theta_1: the effective sample size is"), "on the page too");
}

#[test]
fn a_fitted_manifold_has_a_posterior() {
    let folder = Folder::conditional();
    let ended = folder.run(&format!("posterior run data.csv --prior uniform:0,1 {SHORT} --out p"));
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(samples(&folder, "p/posterior.npz").1.iter().all(|t| (0. ..=1.).contains(t)));
    let fit =
        "fit data.csv --context context.csv --manifold-dim 1 --epochs 1 --batch-size 60 --model";
    let sizes =
        "--set model.encoder.hidden=8 --set model.decoder.hidden=8 --set model.inner.hidden=8";
    folder.succeeds(&format!("{fit} free-form --start random {sizes} --out ff"));
    let ended = folder.run(&format!("posterior ff data.csv --prior uniform:0,1 {SHORT} --out q"));
    assert!(
        ended.err.contains("note: the likelihood of free-form is exact only where"),
        "{}",
        ended.err
    );
    folder.succeeds(&format!(
        "{fit} vae --set model.encoder.hidden=8 --set model.decoder.hidden=8 --out vae"
    ));
    let parts = [
        "vae/model.safetensors",
        "expected a model with a likelihood",
        "found vae",
        "--model m-flow",
    ];
    folder.fails("posterior vae data.csv --prior uniform:0,1 --out r", 1, &parts);
    assert!(!folder.path("r").exists(), "nothing is written");
}

#[test]
fn what_does_not_fit_is_refused_before_the_work() {
    let folder = folder();
    folder.write("wide.csv", b"1,2,3\n");
    folder.write("five.csv", (csv(&ROWS) + "1,1\n").as_bytes());
    let model = "posterior gauss.safetensors";
    for (rest, code, parts) in [
        ("wide.csv --prior normal:0,1", 1, &["wide.csv", "expected 2 columns", "found 3"][..]),
        ("absent.csv --prior normal:0,1", 1, &["absent.csv", "No such file"]),
        ("x.csv", 2, &["--prior <PRIOR>"]),
        ("--prior normal:0,1", 2, &["<OBSERVED>..."]),
        (
            "x.csv --prior normal:0,1 --prior normal:0,1 --prior uniform:0,1",
            2,
            &["--prior", "expected 2, one for each context feature", "or 1 for all", "found 3"],
        ),
        (
            "x.csv --prior gamma:0,1",
            2,
            &["gamma:0,1", "expected `normal:MEAN,STD` or `uniform:LOW,HIGH`"],
        ),
        ("x.csv --prior normal:0", 2, &["normal:0", "expected two numbers", "found 1"]),
        ("x.csv --prior normal:0,0", 2, &["expected a standard deviation above 0, found 0"]),
        ("x.csv --prior normal:0,-1", 2, &["expected a standard deviation above 0, found -1"]),
        (
            "x.csv --prior uniform:1,1",
            2,
            &["expected a lower bound below the upper one, found 1 and 1"],
        ),
        ("x.csv --prior normal:0,1 --names a", 2, &["--names", "expected 2", "found 1"]),
        ("x.csv --prior normal:0,1 --names a,a", 2, &["--names", "differ", "found `a`"]),
        ("x.csv --prior normal:0,1 --truth 0,1,2", 2, &["--truth", "expected 2", "found 3"]),
        ("x.csv --prior normal:0,1 --truth -1,inf", 2, &["--truth", "finite numbers", "found inf"]),
        ("x.csv --prior normal:0,1 --chains 0", 2, &["--chains", "'0'"]),
        ("x.csv --prior normal:0,1 --draws 7", 2, &["--draws", "'7'"]),
        ("x.csv --prior normal:0,1 --context x.csv", 2, &["--context"]),
        (
            "five.csv --prior normal:0,1 --rows-per-set 2",
            2,
            &["five.csv", "--rows-per-set 2 divides, found 5, which leaves 1", "choose another N"],
        ),
    ] {
        folder.fails(&format!("{model} {rest} --out p"), code, parts);
    }
    folder.fails(&format!("{model} x.csv --prior normal:0,1"), 2, &["--out <DIR>"]);
    let fitted = Folder::fitted();
    let parts = ["run/model.safetensors", "expected a model with a context", "--context THETA"];
    fitted.fails("posterior run data.csv --prior normal:0,1 --out p", 1, &parts);
    assert!(!folder.path("p").exists() && !fitted.path("p").exists(), "nothing is written");
}
