//! Rows from a file on disk. Oracle: the same file read whole, and data sets in memory.
use mflow_bijectors::Stream;
use mflow_bijectors::candle::{DType, Device};
use mflow_core::{standardize, standardize_blocks};
use mflow_data::io::{Array, Columns, Dtype, NpyFile, read_npy, write_npy};
use mflow_train::{RowReader, RowSource, Rows, Stored};
use std::fs;
use std::path::{Path, PathBuf};

const ROWS: usize = 5000;

fn values(cols: usize) -> Vec<f64> {
    Stream::new(1, "npy file").normal(ROWS * cols)
}

fn written(folder: &Path, name: &str, cols: usize, dtype: Dtype) -> PathBuf {
    let path = folder.join(name);
    let values = values(cols);
    write_npy(&path, &Array::matrix(ROWS, cols, &values, dtype).unwrap()).unwrap();
    path
}

/// A file with this header and these bytes.
fn by_hand(path: &Path, descr: &str, fortran: bool, shape: &str, data: &[u8]) {
    let order = if fortran { "True" } else { "False" };
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    while !(10 + text.len() + 1).is_multiple_of(64) {
        text.push(' ');
    }
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(data);
    fs::write(path, bytes).unwrap();
}

#[test]
fn rows_are_those_of_the_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    for (cols, dtype) in [(3, Dtype::F32), (1, Dtype::F64), (40, Dtype::F64)] {
        let path = written(folder.path(), "x.npy", cols, dtype);
        let (file, whole) = (NpyFile::open(&path).unwrap(), read_npy(&path).unwrap());
        assert_eq!((file.rows(), file.cols()), (ROWS, cols), "shape");
        let row = |i: &usize| whole.values()[i * cols..(i + 1) * cols].to_vec();
        let order = Stream::new(2, "rows").permutation(ROWS);
        for rows in [&order[..100], &[7, 8, 9, 3, 4, 4, 4999, 0], &[], &[4999]] {
            let expected: Vec<f64> = rows.iter().flat_map(row).collect();
            assert_eq!(file.read(rows).unwrap(), expected, "rows in the order asked for");
        }
        let mut all = vec![];
        file.for_each_block(&mut |block| {
            assert_eq!(block.len() % cols, 0, "whole rows");
            assert!(block.len() * 8 <= 1 << 21, "a block at a time");
            all.extend_from_slice(block);
        })
        .unwrap();
        assert_eq!(all, whole.values(), "all in order");
    }
}

#[test]
fn either_byte_order_and_other_types_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let numbers = [1.5_f64, -2., 3.25, 1e10, 0., -0.5];
    let big: Vec<u8> = numbers.iter().flat_map(|v| v.to_be_bytes()).collect();
    by_hand(&path, ">f8", false, "(3, 2)", &big);
    assert_eq!(NpyFile::open(&path).unwrap().read(&[2, 0]).unwrap(), [0., -0.5, 1.5, -2.]);
    let small: Vec<u8> = [1_i16, -2, 300, 4].iter().flat_map(|v| v.to_le_bytes()).collect();
    by_hand(&path, "<i2", false, "(2, 2)", &small);
    assert_eq!(NpyFile::open(&path).unwrap().read(&[1]).unwrap(), [300., 4.], "integers");
}

#[test]
fn a_stored_data_set_is_the_one_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let x = written(folder.path(), "x.npy", 3, Dtype::F64);
    let c = written(folder.path(), "c.npy", 2, Dtype::F64);
    let open = |path: &Path| Box::new(NpyFile::open(path).unwrap()) as Box<dyn RowReader>;
    for dtype in [DType::F32, DType::F64] {
        for context in [false, true] {
            let of_file = context.then(|| open(&c));
            let stored = Stored::new(open(&x), of_file, dtype, &Device::Cpu).unwrap();
            let in_memory = context.then(|| (values(2), 2));
            let rows = Rows::new(values(3), 3, in_memory, dtype, &Device::Cpu).unwrap();
            assert_eq!(stored.fingerprint(), rows.fingerprint(), "the same data");
            assert_eq!((stored.rows(), stored.data_dim()), (ROWS, 3), "sizes");
            assert_eq!(stored.context_dim(), rows.context_dim(), "context");
            let order = Stream::new(3, "rows").permutation(ROWS);
            let (a, b) = (stored.gather(&order[..64]).unwrap(), rows.gather(&order[..64]).unwrap());
            let numbers = |t: &mflow_bijectors::candle::Tensor| {
                let t = t.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
                t.to_vec1::<f64>().unwrap()
            };
            assert_eq!(a.x.dtype(), dtype, "{dtype:?}");
            assert_eq!(numbers(&a.x), numbers(&b.x), "rows");
            let contexts = |b: &mflow_train::Batch| b.context.as_ref().map(numbers);
            assert_eq!(contexts(&a), contexts(&b), "contexts");
        }
    }
    let short = folder.path().join("short.npy");
    write_npy(&short, &Array::matrix(2, 1, &[1., 2.], Dtype::F64).unwrap()).unwrap();
    let error = Stored::new(open(&x), Some(open(&short)), DType::F32, &Device::Cpu).unwrap_err();
    assert!(error.to_string().contains("expected 5000 rows, found 2 rows"), "{error}");
}

#[test]
fn moments_come_out_the_same_block_by_block() {
    let folder = tempfile::tempdir().unwrap();
    // More than one block of 1 MiB.
    let path = written(folder.path(), "x.npy", 40, Dtype::F64);
    let file = NpyFile::open(&path).unwrap();
    let found = standardize_blocks(ROWS, 40, |see| file.for_each_block(see)).unwrap();
    assert_eq!(found, standardize(&values(40), 40).unwrap(), "to the bit");
    // Moments by plain sums.
    for j in [0, 17] {
        let column: Vec<f64> = values(40).into_iter().skip(j).step_by(40).collect();
        let mean = column.iter().sum::<f64>() / ROWS as f64;
        let variance = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / ROWS as f64;
        assert!((found.shift[j] - mean).abs() < 1e-12, "mean {}", found.shift[j]);
        assert!((found.scale[j] - variance.sqrt()).abs() < 1e-12, "deviation {}", found.scale[j]);
    }
}

#[test]
fn files_that_cannot_be_read_row_by_row_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let message = || NpyFile::open(&path).map(|_| ()).unwrap_err().to_string();
    let data: Vec<u8> = (0..6).flat_map(|v| f64::from(v).to_le_bytes()).collect();
    by_hand(&path, "<f8", true, "(3, 2)", &data);
    assert!(message().contains("found Fortran order"), "{}", message());
    by_hand(&path, "<f8", true, "(6,)", &data);
    assert!(NpyFile::open(&path).is_ok(), "a vector has one order");
    by_hand(&path, "<f8", false, "(4, 2)", &data);
    assert!(message().contains("truncated: expected 64 bytes of data, found 48"), "{}", message());
    by_hand(&path, "<f8", false, "(2, 2)", &data);
    assert!(message().contains("trailing bytes"), "{}", message());
    by_hand(&path, "<f8", false, "(0, 2)", &[]);
    assert!(message().contains("holds no rows"), "{}", message());
    by_hand(&path, "<f8", false, "()", &data[..8]);
    assert!(message().contains("found []"), "{}", message());
    let mut bad = data.clone();
    bad[32..40].copy_from_slice(&f64::NAN.to_le_bytes());
    by_hand(&path, "<f8", false, "(3, 2)", &bad);
    assert!(message().contains("found NaN in row 2 (counting from 0), column 0"), "{}", message());
    // Fine when it was opened, cut short since.
    by_hand(&path, "<f8", false, "(3, 2)", &data);
    let file = NpyFile::open(&path).unwrap();
    let len = fs::metadata(&path).unwrap().len();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 8).unwrap();
    assert_eq!(file.read(&[1]).unwrap(), [2., 3.], "what is left");
    let error = file.read(&[2]).unwrap_err().to_string();
    assert!(error.contains("truncated: expected 48 bytes of data, found 40"), "{error}");
    let error = file.read(&[3]).unwrap_err().to_string();
    assert!(error.contains("expected a row below 3, found 3"), "{error}");
    // Too large for single precision.
    let data: Vec<u8> = [0., 1., 2., 1e300].iter().flat_map(|v: &f64| v.to_le_bytes()).collect();
    by_hand(&path, "<f8", false, "(2, 2)", &data);
    let open = || Box::new(NpyFile::open(&path).unwrap());
    let error = Stored::new(open(), None, DType::F32, &Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("in row 1, column 1"), "{error}");
    assert!(Stored::new(open(), None, DType::F64, &Device::Cpu).is_ok(), "not for double");
}

#[test]
fn of_chosen_columns_the_others_may_hold_anything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    let values = [0., f64::NAN, 2., 3., 4., f64::INFINITY, 6., 7.];
    let data: Vec<u8> = values.iter().flat_map(|v: &f64| v.to_le_bytes()).collect();
    by_hand(&path, "<f8", false, "(2, 4)", &data);
    let picks = |text: &str| -> Columns {
        Columns::Only(text.split(',').map(|pick| pick.parse().unwrap()).collect())
    };
    let file = NpyFile::open_columns(&path, &picks("3,0,2")).unwrap();
    assert_eq!((file.rows(), file.cols()), (2, 3));
    assert_eq!(file.read(&[1, 0]).unwrap(), [7., 4., 6., 3., 0., 2.]);
    let mut all = vec![];
    file.for_each_block(&mut |block| all.extend_from_slice(block)).unwrap();
    assert_eq!(all, [3., 0., 2., 7., 4., 6.]);
    let choice = file.choice().unwrap();
    assert_eq!((choice.positions, choice.of), (vec![3, 0, 2], 4));
    let error = NpyFile::open_columns(&path, &picks("0,1")).unwrap_err().to_string();
    assert!(error.contains("found NaN in row 0 (counting from 0), column 1"), "{error}");
    let error = NpyFile::open_columns(&path, &picks("4")).unwrap_err().to_string();
    assert!(error.contains('4'), "{error}");
}
