//! Transposed convolutions.
use super::layer::MOST_WORK;
use candle_core::{Result, Tensor};

/// Numbers that are in the cache at a time, about.
const AT_ONCE: usize = 1 << 20;

/// A transposed convolution of images `[n, in, h, w]`, as one product of matrices.
///
/// Write an output row as `y = s m + p` with the stride `s` and a phase `p < s`. Of the kernel's rows only
/// `s j + p` reach it, from the input rows `m - j`. So every output is a product of the `t²` inputs around it,
/// `t = ⌈k/s⌉`, with a matrix that holds the kernels of all phases side by side. candle's own operation does
/// scalar products pixel by pixel, and takes several times as long on a CPU.
#[derive(Clone, Debug)]
pub(super) struct Transposed {
    /// `[t t in, s s out]`.
    matrix: Tensor,
    /// Inputs that reach an output, along a side.
    taps: usize,
    stride: usize,
    padding: usize,
    kernel: usize,
    inputs: usize,
    outputs: usize,
    output_padding: usize,
}

impl Transposed {
    /// Of `weight: [in, out, k, k]`, `stride` at least 1.
    pub(super) fn new(
        weight: &Tensor,
        stride: usize,
        padding: usize,
        output_padding: usize,
    ) -> Result<Self> {
        let (inputs, outputs, kernel, _) = weight.dims4()?;
        let taps = kernel.div_ceil(stride);
        let more = taps * stride - kernel;
        let matrix = weight
            .pad_with_zeros(2, 0, more)?
            .pad_with_zeros(3, 0, more)?
            .reshape(&[inputs, outputs, taps, stride, taps, stride][..])?
            .permute([2, 4, 0, 3, 5, 1])?
            .contiguous()?
            .reshape((taps * taps * inputs, stride * stride * outputs))?;
        Ok(Self { matrix, taps, stride, padding, kernel, inputs, outputs, output_padding })
    }

    /// The length of a side, from that of the input; `None` if nothing is left.
    pub(super) fn side(&self, side: usize) -> Option<usize> {
        let all = side.checked_sub(1)?.checked_mul(self.stride)?.checked_add(self.kernel)?;
        let all = all.checked_add(self.output_padding)?;
        all.checked_sub(self.padding.checked_mul(2)?).filter(|&side| side > 0)
    }

    /// The most numbers that are in memory for one image at a time; none where they are more than [`MOST_WORK`].
    pub(super) fn work(&self, h: usize, w: usize) -> Option<usize> {
        let pixels = h.checked_add(self.taps)?.checked_mul(w.checked_add(self.taps)?)?;
        // The matrix is there, so that its sides can be computed.
        let (taps, stride) = (self.taps * self.taps, self.stride * self.stride);
        let of_pixel = (taps * self.inputs).max(stride * self.outputs);
        pixels.checked_mul(of_pixel).filter(|work| *work <= MOST_WORK)
    }

    /// The images, on a CPU so many at a time that what lies between input and output stays in its cache.
    pub(super) fn apply(&self, images: &Tensor) -> Result<Tensor> {
        let (n, _, h, w) = images.dims4()?;
        let work = self.work(h, w).unwrap_or(MOST_WORK);
        let at_once = AT_ONCE.checked_div(work).unwrap_or(1).max(1);
        if !images.device().is_cpu() || n <= at_once {
            return self.apply_to_all(images);
        }
        let part = |first| self.apply_to_all(&images.narrow(0, first, at_once.min(n - first))?);
        let parts = (0..n).step_by(at_once).map(part).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&parts, 0)
    }

    #[expect(
        clippy::integer_division_remainder_used,
        reason = "a kernel and a stride of 1 or more make 1 tap or more"
    )]
    fn apply_to_all(&self, images: &Tensor) -> Result<Tensor> {
        let (n, c, h, w) = images.dims4()?;
        let (t, s) = (self.taps, self.stride);
        let wide = images
            .permute((0, 2, 3, 1))?
            .contiguous()?
            .pad_with_zeros(1, t - 1, t - 1)?
            .pad_with_zeros(2, t - 1, t - 1)?
            .contiguous()?;
        let (m, k) = (h + t - 1, w + t - 1);
        let shifted = |j: usize| -> Result<Tensor> {
            let rows = wide.narrow(1, t - 1 - j / t, m)?;
            rows.narrow(2, t - 1 - j % t, k)?.contiguous()
        };
        let seen = (0..t * t).map(shifted).collect::<Result<Vec<_>>>()?;
        let seen = Tensor::cat(&seen, 3)?.reshape((n * m * k, t * t * c))?;
        let all = seen
            .matmul(&self.matrix)?
            .reshape(&[n, m, k, s, s, self.outputs][..])?
            .permute([0, 5, 1, 3, 2, 4])?
            .contiguous()?
            .reshape((n, self.outputs, m * s, k * s))?;
        let nothing = || candle_core::Error::Msg("no pixel is left".to_owned());
        let (high, wide) = (self.side(h).ok_or_else(nothing)?, self.side(w).ok_or_else(nothing)?);
        all.narrow(2, self.padding, high)?.narrow(3, self.padding, wide)?.contiguous()
    }
}
