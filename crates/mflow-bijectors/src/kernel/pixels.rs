//! Images as points of a kernel of vectors: each pixel is one, and what belongs to an image is that of all its pixels.
use super::lanes::Element;
use super::rows::Rows;
use std::borrow::Cow;

/// Points and their tangents as a layer has them, each point of so many pixels: 1 of vectors, which stay as they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pixels {
    pub(super) count: usize,
    pub(super) rows: Rows,
}

impl Pixels {
    /// The rows with a point for each pixel.
    pub(super) fn rows(self) -> Rows {
        Rows { points: self.rows.points * self.count, ..self.rows }
    }

    /// Tangents `[B, K, pixels, width]` of images as those of pixels, `[B, pixels, K, width]`.
    pub(super) fn by_pixel<'a, T: Element>(self, tangents: Cow<'a, [T]>) -> Cow<'a, [T]> {
        self.swapped(tangents, self.rows.tangents, self.count)
    }
    /// The inverse of [`Pixels::by_pixel`].
    pub(super) fn by_image<T: Element>(self, tangents: Vec<T>) -> Vec<T> {
        self.swapped(tangents.into(), self.count, self.rows.tangents).into_owned()
    }
    /// From `[B, outer, inner, width]` to `[B, inner, outer, width]`.
    fn swapped<T: Element>(self, x: Cow<'_, [T]>, outer: usize, inner: usize) -> Cow<'_, [T]> {
        let parts = self.rows.points * outer * inner;
        if outer <= 1 || inner <= 1 || parts == 0 {
            return x;
        }
        let width = x.len() / parts;
        let mut out = Vec::with_capacity(x.len());
        for x in x.chunks_exact(outer * inner * width) {
            for i in 0..inner {
                for o in 0..outer {
                    let at = (o * inner + i) * width;
                    out.extend_from_slice(&x[at..at + width]);
                }
            }
        }
        out.into()
    }

    /// Numbers of each image, `[B, width]`, at all of its pixels.
    pub(super) fn repeat<T: Element>(self, of_images: &[T]) -> Cow<'_, [T]> {
        let width = of_images.len() / self.rows.points.max(1);
        if self.count == 1 || width == 0 {
            return of_images.into();
        }
        let repeated = of_images.chunks_exact(width).flat_map(|row| row.repeat(self.count));
        repeated.collect::<Vec<_>>().into()
    }
    /// The transpose of [`Pixels::repeat`]: sums over the pixels of each image.
    pub(super) fn sum<T: Element>(self, of_pixels: Vec<T>) -> Vec<T> {
        let width = of_pixels.len() / self.rows().points.max(1);
        if self.count == 1 || width == 0 {
            return of_pixels;
        }
        let mut sums = Vec::with_capacity(self.rows.points * width);
        for image in of_pixels.chunks_exact(self.count * width) {
            sums.extend((0..width).map(|i| {
                image.iter().skip(i).step_by(width).fold(T::default(), |sum, v| sum + *v)
            }));
        }
        sums
    }
}
