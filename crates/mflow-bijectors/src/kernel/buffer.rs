//! Working memory that goes round: a buffer that is dropped serves the next kernel of its thread.
//!
//! A training step needs the same sizes again and again. Handed back to the allocator, large blocks
//! return to the system and are mapped and zeroed anew in the next step, which costs more than the
//! arithmetic on them; kept, they are also still in the cache.
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::thread::LocalKey;

/// What a thread keeps at most, in bytes: the activations of a step of a few thousand rows.
const KEPT_BYTES: usize = 256 << 20;

/// Buffers of one thread that nobody uses, the longest last.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    free: Vec<Vec<T>>,
    bytes: usize,
}

impl<T> Shelf<T> {
    pub(super) const fn new() -> Self {
        Self { free: vec![], bytes: 0 }
    }
    /// The shortest that has `len` elements, unless it is far too long.
    fn take(&mut self, len: usize) -> Option<Vec<T>> {
        let at = self.free.partition_point(|v| v.len() < len);
        let fits = self.free.get(at).is_some_and(|v| v.len() <= 4 * len);
        fits.then(|| {
            let v = self.free.remove(at);
            self.bytes -= size_of_val(v.as_slice());
            v
        })
    }
    fn put(&mut self, v: Vec<T>) {
        let bytes = size_of_val(v.as_slice());
        if bytes > 0 && self.bytes + bytes <= KEPT_BYTES {
            self.free.insert(self.free.partition_point(|w| w.len() < v.len()), v);
            self.bytes += bytes;
        }
    }
}

/// Elements whose threads have a [`Shelf`].
pub(crate) trait Kept: Copy + Default + 'static {
    /// The shelf of this thread.
    fn shelf() -> &'static LocalKey<RefCell<Shelf<Self>>>;
}

/// A slice in recycled memory; see the [module](self).
#[derive(Debug)]
pub(crate) struct Buffer<T: Kept> {
    data: Vec<T>,
    len: usize,
}

impl<T: Kept> Buffer<T> {
    /// No elements.
    pub(crate) fn empty() -> Self {
        Self { data: vec![], len: 0 }
    }
    /// `len` elements of whatever was there before: for those who write each of them.
    pub(crate) fn stale(len: usize) -> Self {
        // A thread that ends has no shelf any more.
        let kept = T::shelf().try_with(|shelf| shelf.borrow_mut().take(len));
        let data = kept.ok().flatten().unwrap_or_else(|| vec![T::default(); len]);
        Self { data, len }
    }
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let mut buffer = Self::stale(len);
        buffer.fill(T::default());
        buffer
    }
    /// The first `len` elements that `values` gives.
    pub(crate) fn collect(len: usize, values: impl Iterator<Item = T>) -> Self {
        let mut buffer = Self::zeros(len);
        buffer.iter_mut().zip(values).for_each(|(b, v)| *b = v);
        buffer
    }
}

impl<T: Kept> Drop for Buffer<T> {
    fn drop(&mut self) {
        let data = std::mem::take(&mut self.data);
        // Without a shelf the memory is freed.
        let _ = T::shelf().try_with(|shelf| shelf.borrow_mut().put(data));
    }
}

impl<T: Kept> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.data[..self.len]
    }
}

impl<T: Kept> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.data[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_round() {
        let first = Buffer::<f32>::zeros(1000);
        let at = first.as_ptr();
        drop(first);
        let mut second = Buffer::<f32>::stale(900);
        assert_eq!((second.as_ptr(), second.len()), (at, 900), "the same memory, fewer elements");
        second.fill(3.);
        drop(second);
        assert_eq!(*Buffer::<f32>::zeros(1000), [0.; 1000], "zeros are zeros in used memory");
        assert_ne!(
            Buffer::<f32>::stale(100).data.len(),
            1000,
            "a far longer one is left for others"
        );
    }

    #[test]
    fn the_shortest_that_fits_is_taken() {
        let mut shelf = Shelf::new();
        for len in [30, 10, 20] {
            shelf.put(vec![0_f64; len]);
        }
        assert_eq!(shelf.take(11).map(|v| v.len()), Some(20));
        assert_eq!(shelf.take(31), None);
        assert_eq!(shelf.bytes, 40 * 8);
    }

    #[test]
    fn a_thread_keeps_so_much_and_no_more() {
        let mut shelf = Shelf::new();
        (0..3).for_each(|_| shelf.put(vec![0_u8; KEPT_BYTES / 2]));
        assert_eq!(shelf.free.len(), 2);
    }
}
