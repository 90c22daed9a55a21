//! Products of strided matrices against sums that are written out. `cargo xtask sanitize` runs these tests with Miri, as the products
//! are unsafe code; a target of their own is small enough for it. No slice is longer than its view reaches.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]
use mflow_bijectors::Stream;
use mflow_bijectors::gemm::{Matrix, MatrixMut, Number, gemm};

/// Sizes around those of registers and blocks, as far as Miri gets.
const SIZES: &[usize] = if cfg!(miri) { &[0, 1, 3, 9] } else { &[0, 1, 2, 3, 7, 8, 9, 17, 40] };

/// A matrix with numbers between its rows, cut off behind its last.
struct Strided<T> {
    data: Vec<T>,
    rows: usize,
    cols: usize,
    stride: usize,
}

impl<T: Number> Strided<T> {
    fn new(rows: usize, cols: usize, gap: usize, stream: &mut Stream) -> Self {
        let stride = cols + gap;
        let length = if rows * cols == 0 { 0 } else { (rows - 1) * stride + cols };
        let data = stream.normal(length).into_iter().map(T::from_f64).collect();
        Self { data, rows, cols, stride }
    }
    fn view(&self, turned: bool) -> Matrix<'_, T> {
        let view = Matrix::with_stride(&self.data, self.rows, self.cols, self.stride);
        if turned { view.t() } else { view }
    }
    fn at(&self, row: usize, col: usize) -> f64 {
        self.data[row * self.stride + col].to_f64()
    }
}

/// `op(A) op(B)` with `op` the transpose where `turned` says so, alone or added to what is there.
#[derive(Clone, Copy)]
struct Case {
    turned: (bool, bool),
    adds: bool,
}

const CASES: [Case; 4] = [
    Case { turned: (false, false), adds: true },
    Case { turned: (true, false), adds: false },
    Case { turned: (false, true), adds: true },
    Case { turned: (true, true), adds: false },
];

/// One product of `[m, k]` and `[k, n]`.
fn check<T: Number>(case: Case, [m, n, k]: [usize; 3], tolerance: f64, stream: &mut Stream) {
    let Case { turned, adds } = case;
    let gap = (m + n + k) % 3;
    let mut matrix = |rows, cols, turned| {
        let (rows, cols) = if turned { (cols, rows) } else { (rows, cols) };
        Strided::<T>::new(rows, cols, gap, stream)
    };
    let (a, b) = (matrix(m, k, turned.0), matrix(k, n, turned.1));
    let mut c = matrix(m, n, false);
    let before = c.data.clone();
    let into = MatrixMut::with_stride(&mut c.data, m, n, c.stride);
    gemm(into, adds, a.view(turned.0), b.view(turned.1)).unwrap();
    let a = |row, i| if turned.0 { a.at(i, row) } else { a.at(row, i) };
    let b = |i, col| if turned.1 { b.at(col, i) } else { b.at(i, col) };
    for (at, (value, before)) in c.data.iter().zip(before).enumerate() {
        let (row, col) = (at / (n + gap), at % (n + gap));
        let (value, before) = (value.to_f64(), before.to_f64());
        if col >= n {
            assert_eq!(value, before, "{m} {n} {k}: what lies between");
            continue;
        }
        let sum: f64 = (0..k).map(|i| a(row, i) * b(i, col)).sum();
        let error = (value - sum - if adds { before } else { 0. }).abs();
        assert!(error < tolerance, "{m} {n} {k}: {error} at {row}, {col}");
    }
}

fn products<T: Number>(tolerance: f64) {
    let mut stream = Stream::new(1, "products");
    for &m in SIZES {
        for &n in SIZES {
            for &k in SIZES {
                CASES.iter().for_each(|case| check::<T>(*case, [m, n, k], tolerance, &mut stream));
            }
        }
    }
}

#[test]
fn of_single_precision() {
    products::<f32>(1e-4);
}

#[test]
fn of_double_precision() {
    products::<f64>(1e-12);
}

#[test]
fn views_that_do_not_fit_are_refused() {
    let (a, b) = ([1.; 6], [1.; 6]);
    let mut c = [0.; 4];
    let mut refuses = |m, n, a: Matrix<'_, f64>, b: Matrix<'_, f64>| {
        let error = gemm(MatrixMut::new(&mut c, m, n), false, a, b).unwrap_err().to_string();
        assert!(error.contains("views do not fit"), "{error}");
    };
    refuses(2, 2, Matrix::new(&a, 2, 3), Matrix::new(&b, 2, 3));
    refuses(2, 3, Matrix::new(&a, 2, 3), Matrix::new(&b, 3, 2));
    // Longer than their data by one.
    refuses(2, 2, Matrix::new(&a[..5], 2, 3), Matrix::new(&b, 3, 2));
    refuses(2, 2, Matrix::new(&a, 2, 3), Matrix::with_stride(&b, 3, 2, 3));
    refuses(1, 5, Matrix::new(&a[..1], 1, 1), Matrix::new(&b[..5], 1, 5));
}
