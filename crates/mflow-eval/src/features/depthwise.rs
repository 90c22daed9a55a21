//! Convolutions of each channel by itself; candle's take every channel for an operation of its own.
#![expect(
    clippy::indexing_slicing,
    clippy::integer_division_remainder_used,
    reason = "sizes are those of the network, whose weights `Weights::get` compares with them"
)]
use pulp::{Simd, WithSimd};

/// A square kernel for each channel, with padding as TensorFlow's `SAME`: what is odd of it comes behind.
#[derive(Clone, Debug)]
pub(super) struct Depthwise {
    /// `[channels, size, size]`
    pub(super) weights: Vec<f32>,
    pub(super) size: usize,
    pub(super) stride: usize,
}

impl Depthwise {
    /// `x: [channels, side, side]`, and the side of what comes out: sums over the kernel, with this bias of each channel,
    /// through `activation`.
    pub(super) fn apply(
        &self,
        x: &[f32],
        side: usize,
        bias: &[f32],
        activation: impl Fn(f32) -> f32,
    ) -> (Vec<f32>, usize) {
        let Self { size, stride, .. } = *self;
        let (new, before, total) = same_padding(side, size, stride);
        let mut out = vec![0.; bias.len() * new * new];
        let plane = Plane::new([side, side + total, new], before, stride, size);
        let channels = Channels { kernels: &self.weights, x, bias, activation, plane, new };
        pulp::Arch::new().dispatch(Work { channels, out: &mut out });
        (out, new)
    }
}

/// The channels of an image, and what is made of each.
struct Channels<'a, A> {
    kernels: &'a [f32],
    x: &'a [f32],
    bias: &'a [f32],
    activation: A,
    /// Where a channel is put.
    plane: Plane,
    /// The side of what comes out.
    new: usize,
}

/// All channels, in the widest vectors that the machine has.
struct Work<'a, A> {
    channels: Channels<'a, A>,
    out: &'a mut [f32],
}

impl<A: Fn(f32) -> f32> WithSimd for Work<'_, A> {
    type Output = ();

    // What is called here is inlined, as it is compiled for the features of its caller.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Channels { kernels, x, bias, activation, mut plane, new } = self.channels;
        let side = plane.side;
        let channels = x.chunks_exact(side * side).zip(self.out.chunks_exact_mut(new * new));
        for ((x, out), (kernel, bias)) in
            channels.zip(kernels.chunks_exact(plane.taps.len()).zip(bias))
        {
            plane.fill(x);
            for (row, out) in out.chunks_exact_mut(new).enumerate() {
                for (block, out) in out.chunks_mut(LANES).enumerate() {
                    let sums = plane.sums(kernel, row, block * LANES);
                    out.iter_mut().zip(sums).for_each(|(o, v)| *o = activation(v + bias));
                }
            }
        }
    }
}

/// Columns that are computed at once, in registers.
const LANES: usize = 16;

/// A channel with zeros around it. Columns that a stride apart are beside each other: with a stride of 2, first the even
/// ones of a row, then the odd ones.
struct Plane {
    values: Vec<f32>,
    side: usize,
    /// Rows and columns of zeros before the channel.
    before: usize,
    stride: usize,
    /// Columns of each remainder, with some behind them that are computed for nothing.
    columns: usize,
    /// Where the elements of a kernel begin to see, in the first row.
    taps: Vec<usize>,
}

impl Plane {
    fn new([side, padded, new]: [usize; 3], before: usize, stride: usize, size: usize) -> Self {
        let columns = padded.div_ceil(stride).max(new.next_multiple_of(LANES) + size);
        let values = vec![0.; padded * columns * stride];
        let tap = |tap| {
            let (down, across) = (tap / size, tap % size);
            (down * stride + across % stride) * columns + across / stride
        };
        let taps = (0..size * size).map(tap).collect();
        Self { values, side, before, stride, columns, taps }
    }

    #[inline(always)]
    fn fill(&mut self, x: &[f32]) {
        let Self { side, before, stride, columns, .. } = *self;
        for (row, line) in x.chunks_exact(side).enumerate() {
            for remainder in 0..stride {
                let first = (remainder + stride - before % stride) % stride;
                let start = ((row + before) * stride + remainder) * columns;
                let places = &mut self.values[start + (first + before) / stride..];
                let line = line[first.min(side)..].iter().step_by(stride);
                places.iter_mut().zip(line).for_each(|(place, v)| *place = *v);
            }
        }
    }

    /// What a kernel gives in this row from this column on.
    #[inline(always)]
    fn sums(&self, kernel: &[f32], row: usize, column: usize) -> [f32; LANES] {
        let mut sums = [0.; LANES];
        let start = row * self.stride * self.stride * self.columns + column;
        for (weight, tap) in kernel.iter().zip(&self.taps) {
            let seen = &self.values[start + tap..][..LANES];
            sums.iter_mut().zip(seen).for_each(|(sum, v)| *sum += weight * v);
        }
        sums
    }
}

/// The new side, the padding before, and that on both sides.
pub(super) fn same_padding(side: usize, size: usize, stride: usize) -> (usize, usize, usize) {
    let new = side.div_ceil(stride);
    let total = ((new - 1) * stride + size).saturating_sub(side);
    (new, total / 2, total)
}
