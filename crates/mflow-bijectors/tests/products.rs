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

fn products<T: Number>(tolerance: f64) {
    let mut stream = Stream::new(1, "products");
    for &m in SIZES {
        for &n in SIZES {
            for &k in SIZES {
                let gap = (m + n + k) % 3;
                let turned = [(false, false), (true, false), (false, true), (true, true)];
                for ((a_turned, b_turned), adds) in
                    turned.into_iter().zip([true, false, true, false])
                {
                    let shape =
                        |rows, cols, turned| if turned { (cols, rows) } else { (rows, cols) };
                    let (a, b) = (shape(m, k, a_turned), shape(k, n, b_turned));
                    let a = Strided::<T>::new(a.0, a.1, gap, &mut stream);
                    let b = Strided::<T>::new(b.0, b.1, gap, &mut stream);
                    let mut c = Strided::<T>::new(m, n, gap, &mut stream);
                    let before = c.data.clone();
                    let expected = |row: usize, col: usize| {
                        let a = |i| if a_turned { a.at(i, row) } else { a.at(row, i) };
                        let b = |i| if b_turned { b.at(col, i) } else { b.at(i, col) };
                        let sum: f64 = (0..k).map(|i| a(i) * b(i)).sum();
                        sum + if adds { before[row * (n + gap) + col].to_f64() } else { 0. }
                    };
                    let views = (a.view(a_turned), b.view(b_turned));
                    let into = MatrixMut::with_stride(&mut c.data, m, n, c.stride);
                    gemm(into, adds, views.0, views.1).unwrap();
                    for (at, value) in c.data.iter().enumerate() {
                        let (row, col) = (at / (n + gap), at % (n + gap));
                        let value = value.to_f64();
                        if col < n {
                            let error = (value - expected(row, col)).abs();
                            assert!(error < tolerance, "{m} {n} {k}: {error} at {row}, {col}");
                        } else {
                            assert_eq!(
                                value,
                                before[at].to_f64(),
                                "{m} {n} {k}: what lies between"
                            );
                        }
                    }
                }
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
