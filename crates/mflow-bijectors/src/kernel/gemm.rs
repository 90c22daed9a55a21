//! Matrix products on slices: the only `unsafe` code of the workspace but for launches on CUDA devices, behind checked
//! views.
use candle_core::{Error, Result};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// What products are computed in: `f32` or `f64` (sealed).
pub trait Number: candle_core::WithDType + sealed::Sealed {}
impl Number for f32 {}
impl Number for f64 {}

/// A strided view of a matrix.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, T> {
    data: &'a [T],
    layout: Layout,
}

/// A strided mutable view of a matrix.
#[derive(Debug)]
pub struct MatrixMut<'a, T> {
    data: &'a mut [T],
    layout: Layout,
}

#[derive(Clone, Copy, Debug)]
struct Layout {
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl Layout {
    fn row_major(rows: usize, cols: usize) -> Self {
        Self { rows, cols, row_stride: cols, col_stride: 1 }
    }
    fn t(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
    /// Number of elements that the view reaches over.
    fn span(&self) -> usize {
        if self.rows == 0 || self.cols == 0 {
            return 0;
        }
        (self.rows - 1) * self.row_stride + (self.cols - 1) * self.col_stride + 1
    }
}

impl<'a, T> Matrix<'a, T> {
    /// A row-major matrix.
    pub fn new(data: &'a [T], rows: usize, cols: usize) -> Self {
        Self { data, layout: Layout::row_major(rows, cols) }
    }
    /// Rows `stride` elements apart, `cols <= stride` of each.
    pub fn with_stride(data: &'a [T], rows: usize, cols: usize, stride: usize) -> Self {
        Self { data, layout: Layout { row_stride: stride, ..Layout::row_major(rows, cols) } }
    }
    /// The transpose, without moving anything.
    pub fn t(self) -> Self {
        Self { layout: self.layout.t(), ..self }
    }
}

impl<'a, T> MatrixMut<'a, T> {
    /// A row-major matrix.
    pub fn new(data: &'a mut [T], rows: usize, cols: usize) -> Self {
        Self { data, layout: Layout::row_major(rows, cols) }
    }
    /// Rows `stride` elements apart, `cols <= stride` of each.
    pub fn with_stride(data: &'a mut [T], rows: usize, cols: usize, stride: usize) -> Self {
        Self { data, layout: Layout { row_stride: stride, ..Layout::row_major(rows, cols) } }
    }
}

/// `C = A B`, or `C += A B` if `accumulate`; single-threaded.
///
/// # Errors
/// If the shapes do not fit or a view is longer than its data.
pub fn gemm<T: Number>(
    c: MatrixMut<'_, T>,
    accumulate: bool,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
) -> Result<()> {
    let (m, n, k) = (c.layout.rows, c.layout.cols, a.layout.cols);
    let fits = a.layout.rows == m && b.layout.rows == k && b.layout.cols == n;
    let inside = c.layout.span() <= c.data.len()
        && a.layout.span() <= a.data.len()
        && b.layout.span() <= b.data.len();
    if !fits || !inside {
        return Err(Error::Msg(format!(
            "gemm: views do not fit: {:?} = {:?} x {:?}",
            c.layout, a.layout, b.layout
        )));
    }
    if m == 0 || n == 0 {
        return Ok(());
    }
    if k == 0 {
        if !accumulate {
            for i in 0..m {
                for j in 0..n {
                    c.data[i * c.layout.row_stride + j * c.layout.col_stride] = T::from_f64(0.);
                }
            }
        }
        return Ok(());
    }
    let stride = |s: usize| isize::try_from(s).map_err(Error::wrap);
    let (cr, cc) = (stride(c.layout.row_stride)?, stride(c.layout.col_stride)?);
    let (ar, ac) = (stride(a.layout.row_stride)?, stride(a.layout.col_stride)?);
    let (br, bc) = (stride(b.layout.row_stride)?, stride(b.layout.col_stride)?);
    let one = T::from_f64(1.);
    #[expect(
        unsafe_code,
        reason = "the `gemm` crate takes raw pointers; all bounds are checked above"
    )]
    // SAFETY: every index `i * row_stride + j * col_stride` with `i < rows`, `j < cols` is below
    // `span() <= data.len()` for each of the three views, and `c` is borrowed mutably, so it does
    // not overlap `a` or `b`. `T` is `f32` or `f64`, both of which `gemm` implements.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.data.as_mut_ptr(),
            cc,
            cr,
            accumulate,
            a.data.as_ptr(),
            ac,
            ar,
            b.data.as_ptr(),
            bc,
            br,
            one,
            one,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
    Ok(())
}
