//! Convolutions of each channel by itself; candle's take every channel for an operation of its own.

/// A square kernel for each channel, with padding as TensorFlow's `SAME`: what is odd of it comes behind.
#[derive(Clone, Debug)]
pub(super) struct Depthwise {
    /// `[channels, size, size]`
    pub(super) weights: Vec<f32>,
    pub(super) size: usize,
    pub(super) stride: usize,
}

impl Depthwise {
    /// `x: [channels, side, side]`, and the side of what comes out.
    pub(super) fn apply(&self, x: &[f32], side: usize) -> (Vec<f32>, usize) {
        let Self { size, stride, .. } = *self;
        let (new, before, total) = same_padding(side, size, stride);
        let wide = side + total;
        let channels = self.weights.len() / (size * size);
        let mut out = vec![0.; channels * new * new];
        let mut padded = vec![0.; wide * wide];
        let planes = x.chunks_exact(side * side).zip(out.chunks_exact_mut(new * new));
        for ((plane, out), kernel) in planes.zip(self.weights.chunks_exact(size * size)) {
            for (row, line) in plane.chunks_exact(side).enumerate() {
                let start = (row + before) * wide + before;
                padded[start..start + side].copy_from_slice(line);
            }
            for (row, out) in out.chunks_exact_mut(new).enumerate() {
                for (tap, weight) in kernel.iter().enumerate() {
                    let start = (row * stride + tap / size) * wide + tap % size;
                    let line = &padded[start..];
                    match stride {
                        1 => out.iter_mut().zip(line).for_each(|(out, v)| *out += weight * v),
                        _ => out
                            .iter_mut()
                            .zip(line.iter().step_by(stride))
                            .for_each(|(out, v)| *out += weight * v),
                    }
                }
            }
        }
        (out, new)
    }
}

/// The new side, the padding before, and that on both sides.
pub(super) fn same_padding(side: usize, size: usize, stride: usize) -> (usize, usize, usize) {
    let new = side.div_ceil(stride);
    let total = ((new - 1) * stride + size).saturating_sub(side);
    (new, total / 2, total)
}
