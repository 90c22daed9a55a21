//! Files and arguments that nobody would write on purpose: an error or a result, never a panic.
use mflow_data::io::{
    Array, Choice, Columns, Delimiter, Dtype, GrowingNpy, NpyFile, NpyWriter, ReadOptions, read,
    read_npy,
};
use mflow_data::wbf::{closure, violations};
use mflow_data::{
    Error, Prior, Simulator, add_noise, geographic, parameter_rows, pixels, points,
    simulator_by_name, simulator_names,
};
use mflow_train::RowReader;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::files::{assert_error, directory, file};
use crate::survival::survives;

/// A file of version 1.0 of doubles with this shape.
fn npy(fortran: bool, shape: &str, data: &[f64]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let text = format!("{{'descr': '<f8', 'fortran_order': {order}, 'shape': {shape}, }}");
    let len = u16::try_from(text.len()).expect("a short dictionary").to_le_bytes();
    let data: Vec<u8> = data.iter().flat_map(|v| v.to_le_bytes()).collect();
    [b"\x93NUMPY\x01\x00", len.as_slice(), text.as_bytes(), &data].concat()
}

/// Columns and values that would have to be counted, one by one, before it is seen that there are none.
#[test]
fn an_array_without_values_may_claim_any_number_of_rows_and_columns() {
    let directory = directory();
    for shape in ["(0, 1000000000000000000)", "(1000000000000000000, 0)", "(3, 1000000000000, 0)"] {
        for fortran in [false, true] {
            let path = file(&directory, "none.npy", &npy(fortran, shape, &[]));
            let no_rows = shape.starts_with("(0");
            for result in [read_npy(&path).map(|_| ()), NpyFile::open(&path).map(|_| ())] {
                let right = match result {
                    Err(Error::NoRows { .. }) => no_rows,
                    Err(Error::NoColumns { .. }) => !no_rows,
                    _ => false,
                };
                assert!(right, "{shape}, in Fortran order: {fortran}");
            }
        }
    }
}

#[test]
fn columns_that_are_all_left_out_and_rows_that_are_not_there_are_refused() {
    let directory = directory();
    let path = file(&directory, "x.npy", &npy(false, "(2, 2)", &[1., 2., 3., 4.]));
    let all = Columns::Except(vec!["0..".parse().expect("a range")]);
    assert!(matches!(NpyFile::open_columns(&path, &all), Err(Error::NoColumns { .. })));
    let opened = NpyFile::open(&path).expect("a file");
    assert_eq!(opened.read_rows(usize::MAX, 3).expect("no rows"), Vec::<f64>::new());
    assert_eq!(opened.read_rows(1, usize::MAX).expect("a row"), [3., 4.]);
    for rows in [&[usize::MAX, 0][..], &[1, 2], &[0, usize::MAX, 1]] {
        assert!(opened.read(rows).is_err(), "{rows:?}");
    }
}

/// A model file may say that its columns were these of a table that had fewer.
#[test]
fn a_choice_of_columns_that_no_table_had_is_refused() {
    let directory = directory();
    let table = file(&directory, "x.npy", &npy(false, "(1, 2)", &[1., 2.]));
    let text = file(&directory, "x.csv", b"a,b\n1,2\n");
    let choice = Choice { positions: vec![0, 7], of: 2 };
    let columns = Columns::As { names: None, choice };
    let options = ReadOptions { columns, ..ReadOptions::default() };
    for path in [&table, &text] {
        assert_error(read(path, &options), &["7", "2"]);
    }
    assert_error(NpyFile::open_columns(&table, &options.columns), &["7", "2"]);
}

#[test]
fn arrays_of_more_bytes_than_can_be_counted_are_refused_before_they_are_written() {
    let directory = directory();
    let path = directory.path().join("large.npy");
    for shape in [&[usize::MAX, 2][..], &[usize::MAX / 4], &[1 << 40, 1 << 40, 0, 3]] {
        assert!(NpyWriter::create_as(&path, shape, Dtype::F64).is_err(), "{shape:?}");
    }
    for (rows, done) in
        [(usize::MAX, 0), (usize::MAX / 8, 0), (1, usize::MAX), (1, usize::MAX / 16)]
    {
        let result = GrowingNpy::open(&path, rows, Some(2), Dtype::F32, done);
        assert!(result.is_err(), "{rows} rows, {done} of them done");
    }
    assert!(Array::stack([usize::MAX; 3], &[], Dtype::F64).is_err(), "a stack");
    assert!(Array::matrix(usize::MAX, 2, &[], Dtype::F64).is_err(), "a matrix");
}

#[test]
fn options_that_no_command_line_lets_through_make_no_reader_panic() {
    let directory = directory();
    let paths = [
        file(&directory, "x.csv", "\u{feff}a;\"b\nc\"\n1;2\n".as_bytes()),
        file(&directory, "y.csv", b"\xff\n"),
        file(&directory, "z.csv", b"\"\n\"\"\"\n,,\n"),
        file(&directory, "w.csv", b"1\t2\n3\t\n"),
        file(&directory, "i.csv", b",0,1\n0,5,6\n"),
        file(
            &directory,
            "none.idx",
            b"\0\0\x08\x04\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\x01\0\0\0\x01",
        ),
    ];
    for path in &paths {
        for delimiter in [None, Some(b'"'), Some(b'\n'), Some(0), Some(0xff)] {
            for (comment, header) in
                [(None, None), (Some(""), Some(true)), (Some("é"), Some(false))]
            {
                let options = ReadOptions {
                    delimiter: delimiter.map(Delimiter::Char),
                    comment: comment.map(str::to_owned),
                    header,
                    ..ReadOptions::default()
                };
                survives(&format!("{} by {options:?}", path.display()), || {
                    read(path, &options).is_ok()
                });
            }
        }
    }
}

#[cfg(feature = "images")]
#[test]
fn images_are_not_made_larger_than_memory() {
    use mflow_data::io::{Colours, ImageOptions, Images};
    let directory = directory();
    let path = file(&directory, "x.npy", &npy(false, "(1, 2, 2)", &[0., 1., 2., 3.]));
    for side in [1 << 15, 1 << 40, usize::MAX] {
        let options = ImageOptions { size: Some(side), ..ImageOptions::default() };
        assert_error(Images::open(&path, &options), &["at most", &side.to_string()]);
    }
    let claims = b"\0\0\x08\x03\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff";
    let claims = file(&directory, "claims.idx", claims);
    let options = ImageOptions { colours: Colours::Rgb, ..ImageOptions::default() };
    assert_error(Images::open(&claims, &options), &["at most"]);
}

#[test]
fn rows_that_no_simulator_has_are_refused() {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    for name in simulator_names().into_iter().filter(|name| !name.starts_with("wbf")) {
        let simulator = simulator_by_name(name).expect("a simulator");
        let d = simulator.data_dim();
        for x in [
            vec![],
            vec![0.; d],
            vec![1e300; d],
            vec![f64::NAN; d],
            vec![f64::INFINITY; d],
            vec![0.; d + 1],
        ] {
            for theta in
                [vec![], vec![0.5; simulator.parameter_dim()], vec![f64::NAN; 7], vec![1e300; 2]]
            {
                survives(&format!("{name} at {:?} given {theta:?}", x.first()), || {
                    let _ = simulator.log_prob(&x, &theta);
                    let _ = simulator
                        .likelihood(&x)
                        .map(|likelihood| likelihood.log_prob(&theta).is_ok());
                    let _ = (
                        simulator.sample(1, &theta, rng),
                        simulator.sample_joint(1, &theta, &theta, rng),
                    );
                    let _ = simulator.sample_out_of_distribution(0, &theta, rng);
                });
            }
            survives(name, || (simulator.project(&x).is_ok(), simulator.distance(&x).is_ok()));
        }
        assert!(
            simulator.sample(usize::MAX, &[0.5; 3], rng).is_err(),
            "{name}: parameters for all rows"
        );
    }
}

#[test]
fn numbers_that_fit_nothing_give_errors_or_no_number() {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    for prior in [
        Prior::Uniform { low: 1., high: -1. },
        Prior::Uniform { low: f64::NAN, high: f64::INFINITY },
        Prior::Normal { mean: f64::NAN, std: 0. },
    ] {
        survives(&prior.to_string(), || {
            let of = |v: f64| {
                (prior.log_prob(v), prior.gradient(v), prior.quantile(v), prior.contains(v))
            };
            (
                [-1., 0., 0.5, 1., 2., f64::NAN, f64::INFINITY].map(of),
                prior.range(),
                prior.sample(rng),
            )
        });
    }
    assert!(Prior::Normal { mean: 0., std: 1. }.quantile(1.5).is_nan(), "no such quantile");
    for x in [vec![], vec![1.; 7]] {
        assert!(violations(&x).iter().any(|v| v.is_nan()), "a short row");
        survives("a short row", || closure(&x));
    }
    let simulator = mflow_data::wbf::WeakBosonFusion::default();
    assert!(simulator.momenta(&[]).iter().all(|p| p.e.is_nan()), "no momenta");
    survives("a short row", || simulator.observables(&[1.; 5]));
    for shape in [[0; 3], [usize::MAX, 2, 1], [1, 1, usize::MAX]] {
        survives("a shape", || {
            (pixels::flip(&mut [], shape).is_ok(), pixels::flip(&mut [1.], shape).is_ok())
        });
    }
    for (d, bits) in [(0, 1), (usize::MAX, 8), (1, 0), (1, u32::MAX)] {
        survives("bits", || pixels::reduce_bits(&mut [3., 0.5], d, bits).is_ok());
    }
    let parameter = simulator.parameters();
    assert!(
        parameter_rows(parameter, &[0.; 2], usize::MAX).is_err(),
        "more rows than can be counted"
    );
    for d in [0, 2, usize::MAX] {
        survives("points", || {
            (points(&[1.; 3], d).is_ok(), add_noise(&mut [], d, 0.1, rng).is_ok())
        });
    }
    survives("places", || {
        (geographic::to_points(&[1.; 3]).is_ok(), geographic::from_points(&[f64::NAN; 3]).is_ok())
    });
}
