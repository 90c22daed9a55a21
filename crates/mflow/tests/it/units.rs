//! Data in any units. Oracle: the same data in units near 1, as a density changes by the product of the factors, and by nothing
//! for an offset.
use crate::folder::Folder;
use mflow::bijectors::Stream;
use mflow::data::io::{Array, Dtype, read_table, write_npy};

const ROWS: usize = 400;
const FIT: &str = "--config small.toml --epochs 4 --threads 1";

/// Rows of a plane in three dimensions, nearly, times `factor` plus `offset`, as NAME.npy.
fn data(folder: &Folder, name: &str, factor: f64, offset: f64) {
    let z = Stream::new(5, "plane").normal(3 * ROWS);
    let rows = z.as_chunks::<3>().0.iter();
    let x: Vec<f64> = rows.flat_map(|[a, b, c]| [*a, 0.5 * a + b, a - b + 0.1 * c]).collect();
    let x: Vec<f64> = x.into_iter().map(|v| v * factor + offset).collect();
    let array = Array::matrix(ROWS, 3, &x, Dtype::F64).expect("a table");
    write_npy(&folder.path(name), &array).expect("the file is written");
}

/// Column `name` of what `mflow score` says of these data by this run.
fn column(folder: &Folder, run: &str, data: &str, name: &str) -> Vec<f64> {
    let out = format!("{run}.csv");
    folder.succeeds(&format!("score {run} {data} --out {out}"));
    let table = read_table(&folder.path(&out)).expect("scores");
    let at = table.columns().and_then(|all| all.iter().position(|c| c == name));
    let (at, width) = (at.expect("the column"), table.cols());
    table.values().iter().skip(at).step_by(width).copied().collect()
}

fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() < tolerance * (1. + b.abs()), "{what}, row {i}: {a} for {b}");
    }
}

#[test]
fn scales_from_1e_12_to_1e12_change_the_density_by_their_product() {
    let folder = Folder::new();
    data(&folder, "plain.npy", 1., 0.);
    folder.succeeds(&format!("fit plain.npy {FIT} --out plain"));
    let expected = column(&folder, "plain", "plain.npy", "log_prob");
    for exponent in [-40, 40] {
        // Powers of 2: the standardised rows are the same to the bit, and so is the training.
        let factor = 2_f64.powi(exponent);
        data(&folder, "scaled.npy", factor, 0.);
        folder.succeeds(&format!("fit scaled.npy {FIT} --out run{exponent}"));
        let found = column(&folder, &format!("run{exponent}"), "scaled.npy", "log_prob");
        // The manifold has one dimension.
        let shifted: Vec<f64> = expected.iter().map(|l| l - factor.ln()).collect();
        close(&format!("log_prob at 2^{exponent}"), &found, &shifted, 1e-3);
    }
}

#[test]
fn offsets_as_of_times_since_1970_change_nothing() {
    let folder = Folder::new();
    data(&folder, "plain.npy", 1., 0.);
    data(&folder, "far.npy", 1., 2_f64.powi(30));
    folder.succeeds(&format!("fit plain.npy {FIT} --dtype f64 --out plain"));
    let ended = folder.run(&format!("fit far.npy {FIT} --out far"));
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.err.contains("computed in double precision"), "{}", ended.err);
    for name in ["log_prob", "reconstruction_error"] {
        let expected = column(&folder, "plain", "plain.npy", name);
        // The data themselves are rounded to 2e-7.
        close(name, &column(&folder, "far", "far.npy", name), &expected, 1e-3);
    }
    folder.succeeds("project far far.npy --out projected.npy");
    folder.succeeds("project plain plain.npy --out expected.npy");
    let read = |name: &str| read_table(&folder.path(name)).expect("rows").values().to_vec();
    let back: Vec<f64> = read("projected.npy").iter().map(|v| v - 2_f64.powi(30)).collect();
    close("projections", &back, &read("expected.npy"), 1e-3);
    folder.succeeds("sample far -n 50 --seed 3 --out drawn.npy");
    folder.succeeds("sample plain -n 50 --seed 3 --out plainly.npy");
    let drawn: Vec<f64> = read("drawn.npy").iter().map(|v| v - 2_f64.powi(30)).collect();
    close("samples", &drawn, &read("plainly.npy"), 1e-3);
    // A stream gives the same rows, so the same model.
    folder.succeeds(&format!("fit far.npy {FIT} --stream --out streamed"));
    let scores = |run: &str| column(&folder, run, "far.npy", "log_prob");
    close("log_prob of a stream", &scores("streamed"), &scores("far"), 1e-9);
}

#[test]
fn single_precision_that_would_lose_the_data_is_refused() {
    let folder = Folder::new();
    data(&folder, "far.npy", 1., 1e9);
    let refused = ["double precision (dtype f64)", "column 0 has mean 999999999"];
    folder.fails(&format!("fit far.npy {FIT} --dtype f32 --out run"), 1, &refused);
    folder.succeeds(&format!("fit far.npy {FIT} --out far"));
    folder.fails("score far far.npy --dtype f32 --out scores.csv", 1, &refused);
}

#[test]
fn contexts_in_any_units_give_the_same_density() {
    let folder = Folder::new();
    let z = Stream::new(8, "context").normal(2 * ROWS);
    // A Gaussian whose mean is the context.
    let noise = Stream::new(9, "noise").normal(2 * ROWS);
    let x: Vec<f64> = z.iter().zip(&noise).map(|(z, e)| z + 0.1 * e).collect();
    let write = |name: &str, values: &[f64]| {
        let array = Array::matrix(ROWS, 2, values, Dtype::F64).expect("a table");
        write_npy(&folder.path(name), &array).expect("the file is written");
    };
    write("x.npy", &x);
    write("plain.npy", &z);
    // Powers of 2, so that the standardised contexts are the same to the bit.
    let factors = [1024., 1. / 64.];
    let scaled: Vec<f64> = z.iter().enumerate().map(|(i, v)| v * factors[i % 2]).collect();
    write("scaled.npy", &scaled);
    let fit = |context: &str, rest: &str, out: &str| {
        folder.succeeds(&format!(
            "fit x.npy --model af --context {context} --epochs 3 --threads 1 {rest} --out {out}"
        ));
        column(&folder, out, &format!("x.npy --context {context}"), "log_prob")
    };
    let expected = fit("plain.npy", "", "plain");
    close("log_prob", &fit("scaled.npy", "", "scaled"), &expected, 1e-4);
    let raw = fit("scaled.npy", "--normalize-context none", "raw");
    assert!(raw.iter().zip(&expected).any(|(a, b)| (a - b).abs() > 0.1), "it makes a difference");
    let refused = ["--normalize-context: expected it beside a context, found no context"];
    folder.fails("fit x.npy --model af --normalize-context none --out no", 2, &refused);
}
